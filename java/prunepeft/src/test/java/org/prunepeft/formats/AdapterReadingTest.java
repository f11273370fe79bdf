package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Block;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.Bottleneck.Input;
import org.prunepeft.peft.AdapterPart.LowRank;

/** What a format writes it reads back; what others write is read or refused by name. */
class AdapterReadingTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path temporary;

  private Path write(AdapterFormat format, TrainedAdapter adapter) throws IOException {
    Path directory = temporary.resolve("adapter");
    RunDirectory target = RunDirectory.create(directory);
    format.write(adapter, target);
    target.complete();
    return directory;
  }

  private static TrainedAdapter read(Path directory) throws IOException {
    Map<String, Object> config = RunDirectory.open(directory).readJson("adapter_config.json");
    return AdapterFormat.of(directory, config)
        .read(directory, config, SmallBert.CONFIG, List.of("a", "b", "c", "d", "e"));
  }

  private static LowRank with(LowRank lora, boolean rsLora, boolean dora) {
    return new LowRank(
        lora.layer(),
        lora.path(),
        lora.a(),
        lora.b(),
        lora.alpha(),
        rsLora,
        lora.dropout(),
        dora ? Parts.random(lora.b().shape()[0]) : null,
        null);
  }

  private static final List<LowRank> UPDATES =
      List.of(
          Parts.lora(0, "attention.self.query", 4, 16),
          Parts.lora(0, "attention.output.dense", 4, 16),
          Parts.lora(1, "attention.self.value", 3, 2.5),
          Parts.lora(2, "output.dense", 4, 7));

  @ParameterizedTest
  @CsvSource({"false,false", "true,false", "false,true", "true,true"})
  void peftIsReadBack(boolean rsLora, boolean dora) throws IOException {
    TrainedAdapter adapter =
        Parts.adapter(UPDATES.stream().map(update -> with(update, rsLora, dora)).toList());
    Parts.assertSame(adapter, read(write(new PeftFormat(), adapter)));
  }

  @Test
  void adaptersAreReadBack() throws IOException {
    TrainedAdapter adapter =
        Parts.adapter(
            List.of(
                with(Parts.lora(0, "attention.self.query", 4, 16), true, false),
                with(Parts.lora(1, "output.dense", 4, 16), true, false),
                Parts.bottleneck(0, Block.FEED_FORWARD, Input.NORMED_SUM, 7),
                Parts.bottleneck(2, Block.FEED_FORWARD, Input.NORMED_SUM, 5)));
    Parts.assertSame(adapter, read(write(new AdapterHubFormat(), adapter)));
  }

  /** A configuration names more than there is where places were pruned, but not for no place. */
  @Test
  void aPlaceWithoutTensorsIsNoModuleButALayerOfThemIsMissing() throws IOException {
    Path directory =
        write(
            new AdapterHubFormat(),
            Parts.adapter(
                List.of(
                    Parts.lora(0, "attention.self.query", 4, 16),
                    Parts.lora(1, "output.dense", 4, 16))));
    assertEquals(2, read(directory).parts().size());
    Path config = directory.resolve("adapter_config.json");
    change(config, json -> ((ObjectNode) json.get("config")).set("leave_out", tree("[]")));
    assertRefused(directory, "has no LoRA of layer 2, which leave_out does not name");
    change(config, json -> ((ObjectNode) json.get("config")).set("leave_out", tree("[2]")));
    Path file = directory.resolve("adapter.safetensors");
    Map<String, SafeTensors.Tensor> tensors = tensors(file);
    tensors.remove("bert.encoder.layer.1.output.dense.loras.prunepeft.lora_B");
    SafeTensors.write(file, tensors);
    assertRefused(directory, "has no tensor bert.encoder.layer.1.output.dense.loras");
  }

  /** Fields of later releases, of training and of initial values alone. */
  @Test
  void whatMattersToATrainingAloneIsPassedOver() throws IOException {
    TrainedAdapter adapter =
        Parts.adapter(List.of(Parts.bottleneck(0, Block.FEED_FORWARD, Input.NORMED_SUM, 7)));
    Path directory = write(new AdapterHubFormat(), adapter);
    change(
        directory.resolve("adapter_config.json"),
        json ->
            ((ObjectNode) json.get("config"))
                .put("stochastic_depth", 0.0)
                .put("init_weights_seed", 42));
    Parts.assertSame(adapter, read(directory));
  }

  @Test
  void theSeedOfLoraIsPassedOver() throws IOException {
    TrainedAdapter adapter = Parts.adapter(List.of(Parts.lora(0, "output.dense", 4, 16)));
    Path directory = write(new AdapterHubFormat(), adapter);
    change(
        directory.resolve("adapter_config.json"),
        json -> ((ObjectNode) json.get("config")).put("init_weights_seed", 42));
    assertEquals(1, read(directory).parts().size());
  }

  @ParameterizedTest
  @CsvSource({"OUTPUT,ATTENTION", "OUTPUT,FEED_FORWARD", "RESIDUAL,FEED_FORWARD"})
  void otherPlacesAreReadBack(Input input, Block place) throws IOException {
    TrainedAdapter adapter = Parts.adapter(List.of(Parts.bottleneck(1, place, input, 6)));
    Parts.assertSame(adapter, read(write(new AdapterHubFormat(), adapter)));
  }

  /** DoubleSeqBnConfig's default, which transformers knows by two names. */
  @ParameterizedTest
  @ValueSource(strings = {"swish", "silu"})
  void swishIsReadAndWritten(String name) throws IOException {
    TrainedAdapter adapter =
        Parts.adapter(
            List.of(
                Parts.bottleneck(1, Block.ATTENTION, Input.OUTPUT, 6),
                Parts.bottleneck(1, Block.FEED_FORWARD, Input.OUTPUT, 6)));
    Path directory = write(new AdapterHubFormat(), adapter);
    Path config = directory.resolve("adapter_config.json");
    change(config, json -> ((ObjectNode) json.get("config")).put("non_linearity", name));
    TrainedAdapter swish = read(directory);
    assertEquals(2, swish.parts().size());
    for (AdapterPart part : swish.parts()) {
      assertEquals(Activation.SILU, ((Bottleneck) part).activation());
    }
    Path again = temporary.resolve("again");
    RunDirectory target = RunDirectory.create(again);
    new AdapterHubFormat().write(swish, target);
    target.complete();
    assertEquals(
        "swish",
        JSON.readTree(again.resolve("adapter_config.json").toFile())
            .at("/config/non_linearity")
            .asText());
    Parts.assertSame(swish, read(again));
  }

  /** A classifier as a recent release saves it: patterns for the ends of names, many fields. */
  @Test
  void peftsOwnSpellingsAreRead() throws IOException {
    TrainedAdapter adapter = Parts.adapter(UPDATES);
    Path directory = write(new PeftFormat(), adapter);
    change(
        directory.resolve("adapter_config.json"),
        json -> {
          json.putObject("rank_pattern").put("layer\\.1\\.attention\\.self\\.value", 3);
          json.putObject("alpha_pattern")
              .put("1.attention.self.value", 2.5)
              .put("encoder.layer.2.output.dense", 7);
          json.put("target_modules", "all-linear").put("peft_version", "0.18.0");
          json.put("task_type", "SEQ_CLS");
          json.put("megatron_core", "megatron.core").putNull("megatron_config");
          json.putObject("loftq_config");
          json.put("lora_bias", false).put("qalora_group_size", 16).put("use_qalora", false);
          json.putNull("layer_replication").putNull("trainable_token_indices");
          json.putArray("modules_to_save").add("classifier").add("score");
        });
    Path file = directory.resolve("adapter_model.safetensors");
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    tensors(file)
        .forEach(
            (key, tensor) ->
                tensors.put(key.replace("base_model.model.", "base_model.model.bert."), tensor));
    // all-linear targets what lies behind the encoder too.
    tensors.put("base_model.model.bert.pooler.dense.lora_A.weight", Parts.random(4, 24));
    tensors.put("base_model.model.bert.pooler.dense.lora_B.weight", Parts.random(24, 4));
    tensors.put("base_model.model.classifier.weight", adapter.headWeight());
    tensors.put("base_model.model.classifier.bias", adapter.headBias());
    Files.delete(directory.resolve("head.safetensors"));
    SafeTensors.write(file, tensors);
    Parts.assertSame(adapter, read(directory));
  }

  private static void change(Path file, Consumer<ObjectNode> by) throws IOException {
    ObjectNode json = (ObjectNode) JSON.readTree(file.toFile());
    by.accept(json);
    JSON.writeValue(file.toFile(), json);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "peft_type | \"VERA\" | peft_type VERA is not supported; there are [LORA, ADALORA]",
        "bias | \"lora_only\" | bias lora_only is not supported; it must be none",
        "init_lora_weights | \"pissa\" | init_lora_weights pissa is not supported",
        "fan_in_fan_out | true | fan_in_fan_out true is not supported",
        "layer_replication | [[0,2],[1,3]] | layer_replication [[0, 2], [1, 3]] is not supported",
        "modules_to_save | [\"pooler\"] | modules_to_save pooler is not supported",
        "new_in_some_release | 3 | new_in_some_release 3 is not supported",
        "r | 5 | its tensors have rank 4",
        "rank_pattern | {\"q(\": 4} | rank_pattern: the pattern 'q(' is not supported: Unclosed group",
        "rank_pattern | {\"query\": \"4\"} | the value of 'query' must be a number, got 4",
        "lora_alpha | \"high\" | lora_alpha must be a number, got high",
        "use_dora | true | no tensor base_model.model.encoder.layer.0"
      })
  void whatPeftMeansOtherwiseIsRefusedByName(String field, String value, String reason)
      throws IOException {
    Path directory = write(new PeftFormat(), Parts.adapter(UPDATES));
    change(directory.resolve("adapter_config.json"), json -> json.set(field, tree(value)));
    assertRefused(directory, reason);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        ".*.*.*.*.*.*x ; it takes too long to match; 1",
        "(|q)(|q)(|q)(|q)(|q)(|q)(|q)(|q)(|q)(|q)(|q)x ; 10 of them * + ? or |, and no {; 1",
        "(a|){60}x ; 10 of them * + ? or |, and no {; 1",
        "q ; 300 characters; 301"
      })
  void patternsThatCouldTakeLongAreRefused(String pattern, String reason, int times)
      throws IOException {
    Path directory = write(new PeftFormat(), Parts.adapter(UPDATES));
    change(
        directory.resolve("adapter_config.json"),
        json -> json.putObject("alpha_pattern").put(pattern.repeat(times), 4));
    assertRefused(directory, reason);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ln_after | true | ln_after true is not supported; it must be false",
        "use_gating | true | use_gating true is not supported",
        "non_linearity | \"mish\" | non_linearity 'mish' is not supported; there are",
        "scaling | \"learned\" | scaling must be a number, got learned",
        "phm_layer | true | phm_layer true is not supported",
        "inv_adapter | \"nice\" | inv_adapter nice is not supported",
        "leave_out | [] | has no tensor bert.encoder.layer.0.output.adapters",
        "leave_out | [0,1,2] | no place in the model",
        "architecture | \"prefix_tuning\" | architecture prefix_tuning is not supported"
      })
  void whatAdaptersMeanOtherwiseIsRefusedByName(String field, String value, String reason)
      throws IOException {
    Path directory =
        write(
            new AdapterHubFormat(),
            Parts.adapter(List.of(Parts.bottleneck(1, Block.FEED_FORWARD, Input.NORMED_SUM, 7))));
    change(
        directory.resolve("adapter_config.json"),
        json -> ((ObjectNode) json.get("config")).set(field, tree(value)));
    assertRefused(directory, reason);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model_type | \"roberta\" | model_type roberta is not supported; it must be bert",
        "version | \"0.3.1\" | version '0.3.1' does not say how LoRA is scaled",
      })
  void adaptersForOtherModelsAreRefused(String field, String value, String reason)
      throws IOException {
    Path directory =
        write(
            new AdapterHubFormat(),
            Parts.adapter(List.of(Parts.lora(1, "attention.self.key", 2, 4))));
    change(directory.resolve("adapter_config.json"), json -> json.set(field, tree(value)));
    assertRefused(directory, reason);
  }

  /** JSON has numbers that no float64 holds. */
  @ParameterizedTest
  @ValueSource(strings = {"lora_alpha", "lora_dropout", "r"})
  void aNumberThatIsInfiniteIsRefusedByItsName(String field) throws IOException {
    Path directory = write(new PeftFormat(), Parts.adapter(UPDATES));
    Path config = directory.resolve("adapter_config.json");
    change(config, json -> json.put(field, 123454321));
    Files.writeString(config, Files.readString(config).replace("123454321", "1e999"));
    assertRefused(directory, config + ": " + field + " must be finite, got Infinity");
  }

  @Test
  void anInfiniteAlphaOfOneModuleIsRefusedByItsName() throws IOException {
    Path directory = write(new PeftFormat(), Parts.adapter(UPDATES));
    Path config = directory.resolve("adapter_config.json");
    change(config, json -> json.putObject("alpha_pattern").put("output.dense", 123454321));
    Files.writeString(config, Files.readString(config).replace("123454321", "1e999"));
    assertRefused(directory, "the value of 'output.dense' must be finite, got Infinity");
  }

  @Test
  void lowRankUpdatesOfOldReleasesAreNotScaled() throws IOException {
    LowRank key = Parts.lora(1, "attention.self.key", 2, 4);
    Path directory = write(new AdapterHubFormat(), Parts.adapter(List.of(key)));
    change(directory.resolve("adapter_config.json"), json -> json.put("version", "adapters.1.0.1"));
    LowRank old = (LowRank) read(directory).parts().get(0);
    assertEquals(1, old.scale());
  }

  @Test
  void tensorsWithoutAPlaceAndMissingFilesAreNamed() throws IOException {
    Path directory = write(new PeftFormat(), Parts.adapter(UPDATES));
    Path file = directory.resolve("adapter_model.safetensors");
    Map<String, SafeTensors.Tensor> tensors = tensors(file);
    tensors.put(
        "base_model.model.bert.encoder.layer.9.attention.self.query.lora_A.weight",
        Parts.random(4, 24));
    SafeTensors.write(file, tensors);
    assertRefused(directory, "layer.9.attention.self.query");
    Files.delete(file);
    assertRefused(directory, "has no adapter_model.safetensors; save the adapter with safe");
  }

  @Test
  void weightsOfPickleAreRefusedWithTheLibrarysOwnOption() throws IOException {
    Path directory =
        write(
            new AdapterHubFormat(),
            Parts.adapter(List.of(Parts.lora(1, "attention.self.key", 2, 4))));
    Files.delete(directory.resolve("adapter.safetensors"));
    assertRefused(directory, "no adapter.safetensors; save the adapter with use_safetensors=True");
  }

  private static Map<String, SafeTensors.Tensor> tensors(Path file) throws IOException {
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    try (SafeTensors stored = SafeTensors.open(file)) {
      for (String key : stored.names()) {
        tensors.put(key, new SafeTensors.Tensor(stored.shape(key), stored.floats(key)));
      }
    }
    return tensors;
  }

  private static com.fasterxml.jackson.databind.JsonNode tree(String json) {
    try {
      return JSON.readTree(json);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static void assertRefused(Path directory, String reason) {
    String message = assertThrows(Exception.class, () -> read(directory)).getMessage();
    assertTrue(message.contains(reason), message);
  }

  @Test
  void aValueThatIsNoNumberIsNamed() throws IOException {
    Path directory = write(new PeftFormat(), Parts.adapter(UPDATES));
    Path file = directory.resolve("adapter_model.safetensors");
    Map<String, SafeTensors.Tensor> tensors = tensors(file);
    String key = "base_model.model.encoder.layer.1.attention.self.value.lora_B.weight";
    tensors.get(key).values()[5] = Float.NaN;
    SafeTensors.write(file, tensors);
    assertRefused(directory, "tensor " + key + " of " + file + " has NaN as value 5");
  }
}
