package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.torch.Torch;

/** Models in directories as Hugging Face's library saves them, in all forms that these take. */
class HuggingFaceDirectoryTest extends ModelDirectoryTest {
  private static final EncoderConfig DEBERTA =
      ArchitecturesTest.deberta(
          0, 24, false, new RelativeAttention(8, 34, true, true, true, true), null);

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void whatIsWrittenIsReadBack(EncoderConfig config) throws IOException {
    tensors = RandomCheckpoint.tensors(config, random);
    write(config);
    assertEquals(config, loaded());
    agrees(config, tensors);
  }

  @ParameterizedTest
  @CsvSource({"F32", "F16", "BF16", "F64"})
  void weightsOfEveryWidthAreRead(String dtype) throws IOException {
    write(BERT);
    Map<String, Tensor> rounded = new TreeMap<>();
    tensors.forEach((name, tensor) -> rounded.put(name, WeightFiles.rounded(tensor, dtype)));
    WeightFiles.write(weights(), rounded, dtype);
    agrees(BERT, rounded);
  }

  /** What Hugging Face's models for sequence classification have beside the encoder. */
  private static final Map<Architecture, List<String>> HEADS =
      Map.of(
          Architecture.BERT, List.of("bert.pooler.dense", "classifier"),
          Architecture.ROBERTA, List.of("classifier.dense", "classifier.out_proj"),
          Architecture.XLM_ROBERTA, List.of("classifier.dense", "classifier.out_proj"),
          Architecture.DISTILBERT, List.of("pre_classifier", "classifier"),
          Architecture.ELECTRA, List.of("classifier.dense", "classifier.out_proj"),
          Architecture.DEBERTA_V2, List.of("pooler.dense", "classifier"));

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void modelsWithAHeadAreReadWithoutIt(EncoderConfig config) throws IOException {
    tensors = RandomCheckpoint.tensors(config, random);
    write(config);
    String prefix = config.architecture().modelType().replaceAll("^xlm-|-v2$", "") + ".";
    Map<String, Tensor> model = new TreeMap<>();
    tensors.forEach((name, tensor) -> model.put(prefix + name, tensor));
    for (String linear : HEADS.get(config.architecture())) {
      model.put(linear + ".weight", new Tensor(new long[] {2, 21}, new float[42]));
      model.put(linear + ".bias", new Tensor(new long[] {2}, new float[2]));
    }
    model.put(prefix + "embeddings.position_ids", new Tensor(new long[] {1, 3}, new float[3]));
    WeightFiles.write(weights(), model, "F32");
    agrees(config, tensors);
  }

  @Test
  void namesThatComeFromTensorFlowAreRead() throws IOException {
    write(BERT);
    Map<String, Tensor> model = new TreeMap<>();
    tensors.forEach(
        (name, tensor) ->
            model.put(
                "bert."
                    + name.replace("LayerNorm.weight", "LayerNorm.gamma")
                        .replace("LayerNorm.bias", "LayerNorm.beta"),
                tensor));
    WeightFiles.write(weights(), model, "F32");
    agrees(BERT, tensors);
    model.put("bert.embeddings.LayerNorm.weight", tensors.get("embeddings.LayerNorm.weight"));
    WeightFiles.write(weights(), model, "F32");
    failsWith("both spellings of embeddings.LayerNorm.weight");
  }

  @ParameterizedTest
  @CsvSource({"F32", "F16", "BF16"})
  void shardsAreReadByTheirIndex(String dtype) throws IOException {
    write(BERT);
    Files.delete(weights());
    tensors.replaceAll((name, tensor) -> WeightFiles.rounded(tensor, dtype));
    WeightFiles.shards(directory, tensors, dtype);
    agrees(BERT, tensors);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ../model-1.safetensors   | lies beside its index
          /etc/passwd              | lies beside its index
          absent.safetensors       | is missing
          model-2.safetensors      | which
          model-1.safetensors      |
          """)
  void anIndexThatDisagreesWithItsShardsIsRefused(String shard, String message) throws IOException {
    write(BERT);
    Files.delete(weights());
    Map<String, String> places = WeightFiles.shards(directory, tensors, "F32");
    String first =
        places.keySet().stream()
            .filter(name -> places.get(name).equals("model-1.safetensors"))
            .findFirst()
            .orElseThrow();
    if (message == null) {
      places.remove(first);
      message = "says nothing";
    } else {
      places.put(first, shard);
    }
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        JSON.writeValueAsString(Map.of("weight_map", places)));
    failsWith(message);
  }

  @Test
  void anIndexThatIsNoneIsRefused() throws IOException {
    write(BERT);
    Files.delete(weights());
    for (String index :
        new String[] {
          "",
          "[]",
          "{}",
          "{\"weight_map\": 1}",
          "{\"weight_map\": {\"a\": 1}}",
          "{\"weight_map\": {\"a\": \"b\", \"a\": \"c\"}}",
          "{\"weight_map\": {}} {}",
          "{\"x\": " + "[".repeat(100_000)
        }) {
      Files.writeString(directory.resolve("model.safetensors.index.json"), index);
      failsWith("is no index");
    }
  }

  @Test
  void aTensorThatIsMissingIsNamedWithItsShape() throws IOException {
    tensors.remove("encoder.layer.1.intermediate.dense.weight");
    write(BERT);
    failsWith("no tensor encoder.layer.1.intermediate.dense.weight", "[35, 21]");
  }

  @Test
  void aTensorOfAnotherShapeIsNamedWithBoth() throws IOException {
    tensors.put(
        "encoder.layer.1.attention.self.key.weight",
        new Tensor(new long[] {21, 20}, new float[420]));
    write(BERT);
    failsWith("encoder.layer.1.attention.self.key.weight", "[21, 21]", "[21, 20]");
  }

  /** Before as much memory is asked for as the configuration claims: no machine has it. */
  @ParameterizedTest
  @CsvSource({
    "vocab_size, embeddings.word_embeddings.weight",
    "max_position_embeddings, embeddings.position_embeddings.weight",
    "intermediate_size, encoder.layer.0.intermediate.dense.weight",
  })
  void sizesThatTheWeightsDoNotHaveAreRefused(String size, String tensor) throws IOException {
    write(BERT);
    configure(size, "" + Integer.MAX_VALUE);
    failsWith("tensor " + tensor, "must have shape [2147483647, 21]");
  }

  @Test
  void tensorsThatTheConfigurationHasNoPlaceForAreNamed() throws IOException {
    tensors.put("encoder.layer.2.output.dense.bias", new Tensor(new long[] {21}, new float[21]));
    write(BERT);
    failsWith("1 tensors", "(bert, 2 layers)", "encoder.layer.2.output.dense.bias");
  }

  @Test
  void integersAreNoWeights() throws IOException {
    write(BERT);
    WeightFiles.write(weights(), tensors, "I32");
    failsWith("has type I32");
  }

  @Test
  void anotherArchitecturesWeightsAreRefused() throws IOException {
    tensors.remove("embeddings.word_embeddings.weight");
    write(BERT);
    failsWith("bert.embeddings.word_embeddings.weight", "no bert model");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          model_type              | "gpt2"      | model_type 'gpt2' is not supported; there are bert, roberta
          model_type              | "deberta"   | deberta-v2
          model_type              | null        | model_type is missing
          hidden_size             | null        | hidden_size is missing
          hidden_size             | "21"        | hidden_size must be an integer
          hidden_size             | 21.5        | hidden_size must be an integer
          hidden_size             | 99999999999 | hidden_size must be an integer
          hidden_size             | 20          | not a multiple of num_attention_heads, 3
          num_hidden_layers       | 0           | num_hidden_layers must be at least 1, got 0
          num_hidden_layers       | 10001       | num_hidden_layers must be at most 10000, got 10001
          hidden_size             | 2147483646  | hidden_size must be at most 10000000, got 2147483646
          layer_norm_eps          | 0           | layer_norm_eps must be above 0
          layer_norm_eps          | "x"         | layer_norm_eps must be a number
          hidden_act              | "mish"      | activation 'mish' is not supported; there are gelu
          position_embedding_type | "relative_key" | only absolute is
          is_decoder              | true        | only false is
          quantization_config     | {}          | quantised
          quantization_config     | {"quant_method": "gptq"} | quantised
          """)
  void aConfigurationThatIsNotSupportedIsRefusedWithTheReason(
      String name, String value, String message) throws IOException {
    write(BERT);
    configure(name, value);
    failsWith(directory.resolve("config.json").toString(), message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          pos_att_type           | ["x2p"]   | pos_att_type 'x2p' is not supported
          relative_attention     | false     | without relative_attention
          relative_attention     | 1         | relative_attention must be true or false
          attention_head_size    | 7         | attention_head_size must be
          conv_kernel_size       | 4         | conv_kernel_size must be odd
          max_relative_positions | 3         | position_buckets must be 0 or at least 4
          max_position_embeddings | 1000001  | max_position_embeddings must be at most 1000000
          """)
  void aDebertaThatIsNotSupportedIsRefusedWithTheReason(String name, String value, String message)
      throws IOException {
    tensors = RandomCheckpoint.tensors(DEBERTA, random);
    write(DEBERTA);
    configure(name, value);
    failsWith(message);
  }

  @Test
  void debertasTypesOfAttentionMayBeOneString() throws IOException {
    ObjectNode config = JSON.valueToTree(HuggingFaceConfig.write(DEBERTA));
    config.put("pos_att_type", "p2c|c2p").put("max_relative_positions", -1);
    assertEquals(DEBERTA, HuggingFaceConfig.read(config, "a test"));
  }

  @Test
  void aConfigurationThatIsDamagedIsRefused() throws IOException {
    write(BERT);
    for (String text :
        new String[] {"", "[]", "{", "{\"a\": 1, \"a\": 2}", "[".repeat(100_000), "{}"}) {
      Files.writeString(directory.resolve("config.json"), text);
      failsWith(directory.resolve("config.json").toString());
    }
    Files.delete(directory.resolve("config.json"));
    failsWith("no config.json");
  }

  @Test
  void absentFilesAreNamedWithTheRemedy() throws IOException {
    write(BERT);
    Files.delete(weights());
    failsWith("neither model.safetensors nor");
    Files.writeString(directory.resolve("pytorch_model.bin"), "");
    failsWith(
        "convert its pytorch_model.bin",
        "AutoModel.from_pretrained(DIR).save_pretrained(NEW)",
        "AutoModelForCausalLM");
    Files.delete(directory.resolve("tokenizer.json"));
    failsWith("no tokenizer.json and no vocab.txt", "save_pretrained");
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Models.byName(directory.resolve("absent").toString()));
    assertTrue(e.getMessage().contains("minilm"), e.getMessage());
    assertTrue(e.getMessage().contains("a directory with config.json"), e.getMessage());
  }

  @Test
  void anEmptyNameIsNoModelsAndNotTheWorkingDirectorys() {
    var e = assertThrows(IllegalArgumentException.class, () -> Models.byName(""));
    assertTrue(e.getMessage().contains("the model's name is empty"), e.getMessage());
    assertTrue(Models.directory("").isEmpty());
  }

  /** Linux lists the files that a process has open. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void weightsAreClosedWhereAFileBesideThemCannotBeRead() throws IOException {
    write(BERT);
    Models.Loader loader = Models.byName(directory.toString()).loader();
    loader.open().close();
    Files.delete(directory.resolve("config.json"));
    assertThrows(NoSuchFileException.class, loader::open);
    Path file = weights().toRealPath();
    try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
      assertFalse(descriptors.anyMatch(descriptor -> opens(descriptor, file)));
    }
  }

  private static boolean opens(Path descriptor, Path file) {
    try {
      return Files.readSymbolicLink(descriptor).equals(file);
    } catch (IOException e) {
      return false; // closed meanwhile
    }
  }

  @Test
  void theConfigurationKeepsWhatIsNotOfHeadAndWeights() throws IOException {
    write(BERT);
    configure("tokenizer_class", "\"ElectraTokenizer\"");
    configure("classifier_dropout", "0.25");
    for (String name : List.of("_name_or_path", "torch_dtype", "auto_map", "id2label")) {
      configure(name, "{\"0\": \"/home/me\"}");
    }
    try (Pretrained model = Models.byName(directory.toString()).loader().open()) {
      Map<String, Object> expected = new TreeMap<>(HuggingFaceConfig.write(BERT));
      expected.put("tokenizer_class", "ElectraTokenizer");
      expected.put("classifier_dropout", 0.25);
      assertEquals(
          JSON.<JsonNode>valueToTree(expected),
          JSON.<JsonNode>valueToTree(new TreeMap<>(model.configToWrite())));
    }
  }

  @Test
  void aDirectoryThatHoldsAModelIsNotOverwritten() throws IOException {
    write(BERT);
    byte[] before = Files.readAllBytes(weights());
    draw();
    var e = assertThrows(IOException.class, () -> write(BERT));
    assertTrue(e.getMessage().contains("there already"), e.getMessage());
    assertArrayEquals(before, Files.readAllBytes(weights()));
  }

  private EncoderConfig loaded() {
    try (Encoder encoder = Models.byName(directory.toString()).loader().load().encoder()) {
      return encoder.config();
    }
  }

  /** The directory's model computes what one of these tensors does, to the last bit. */
  private void agrees(EncoderConfig config, Map<String, Tensor> expected) throws IOException {
    int length = 7;
    long[] ids = random.longs(2 * length, 2, config.vocabulary()).toArray();
    byte[] mask = new byte[2 * length];
    Arrays.fill(mask, 0, 2 * length - 3, (byte) 1);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder read = Models.byName(directory.toString()).loader().load().encoder();
        Encoder direct = new PostNormEncoder(config, new MapCheckpoint("memory", expected))) {
      EncoderInput input = EncoderInput.of(ids, new long[2 * length], mask, 2, length);
      assertArrayEquals(
          Torch.toFloats(direct.forward(input, Insertions.NONE)),
          Torch.toFloats(read.forward(input, Insertions.NONE)));
    }
  }
}
