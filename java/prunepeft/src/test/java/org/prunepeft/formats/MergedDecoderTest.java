package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.testing.Rounding;

class MergedDecoderTest {
  private static final EncoderConfig LLAMA = DecoderParts.config(Architecture.LLAMA);
  private static final String CONFIG =
      "{\n  \"model_type\" : \"llama\",\n \"rms_norm_eps\": 1e-05}";
  private static final String QUERY = "model.layers.1.self_attn.q_proj.weight";

  @TempDir Path temporary;

  private Path base;
  private final Map<String, Tensor> weights = new TreeMap<>();

  /** Two shards, and the files beside them. */
  private void base(EncoderConfig encoder, StoredType dtype) throws IOException {
    base = Files.createDirectory(temporary.resolve("base"));
    weights.put("model.embed_tokens.weight", Parts.random(30, 10));
    weights.put("model.norm.weight", Parts.random(10));
    for (int layer = 0; layer < encoder.layers(); layer++) {
      for (StoredLinear linear : StoredLinear.of(encoder, layer)) {
        weights.putIfAbsent(
            "model." + linear.path() + ".weight", Parts.random(linear.outputs(), linear.inputs()));
      }
    }
    MapCheckpoint all = new MapCheckpoint("memory", weights);
    StringBuilder index = new StringBuilder("{\"weight_map\": {");
    for (int shard = 0; shard < 2; shard++) {
      Map<String, Source> own = new TreeMap<>();
      int number = 0;
      for (String name : weights.keySet()) {
        if (number++ % 2 == shard) {
          own.put(name, SafeTensors.rounded(all, name, dtype));
          index.append(index.toString().endsWith("{") ? "" : ",");
          index.append("\"%s\": \"%d.safetensors\"".formatted(name, shard));
        }
      }
      SafeTensors.write(base.resolve(shard + ".safetensors"), own, Map.of());
    }
    Files.writeString(base.resolve("model.safetensors.index.json"), index + "}}");
    Files.writeString(base.resolve("config.json"), CONFIG);
    for (String name :
        List.of("tokenizer.json", "tokenizer_config.json", "generation_config.json")) {
      Files.writeString(base.resolve(name), "{\"name\": \"" + name + "\"}");
    }
    Files.writeString(base.resolve("chat_template.jinja"), "{{ messages }}");
    Path more = Files.createDirectory(base.resolve("additional_chat_templates"));
    Files.writeString(more.resolve("tool_use.jinja"), "{{ tools }}");
    Files.writeString(base.resolve("README.md"), "the base model's card");
  }

  private Path merge(TrainedAdapter adapter) throws IOException {
    Path directory = temporary.resolve("merged");
    RunDirectory target = RunDirectory.create(directory);
    HuggingFaceDirectory source = new HuggingFaceDirectory(base);
    try (Checkpoint stored = source.weights()) {
      MergedDecoder.write(adapter, stored, source, target);
    }
    target.complete();
    return directory;
  }

  /**
   * What is stored is a sum in float32 of a weight and the products of up to {@code ranks} terms
   * with their scale; an expected one is rounded once or twice.
   */
  private static void assertNear(float[] expected, float[] stored, int ranks, String what) {
    double share = Rounding.gamma(ranks + 2 + 2, Rounding.FLOAT32);
    Rounding.assertNear(expected, stored, share * Rounding.largest(expected), what);
  }

  private float[] plus(String name, LowRank update, int firstRow) {
    float[] sum = weights.get(name).values().clone();
    double[] delta = DecoderParts.delta(update);
    int first = firstRow * (int) update.a().shape()[1];
    for (int i = 0; i < delta.length; i++) {
      sum[first + i] = (float) (sum[first + i] + delta[i]);
    }
    return sum;
  }

  @Test
  void theUpdateIsInTheWeightsAndAllElseIsACopy() throws IOException {
    base(LLAMA, StoredType.F32);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).build();
    Path merged = merge(DecoderParts.adapter(LLAMA, List.of(update)));
    assertEquals(
        Set.of(
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "generation_config.json",
            "additional_chat_templates",
            "chat_template.jinja"),
        Set.of(merged.toFile().list()));
    assertEquals(
        "{{ tools }}",
        Files.readString(merged.resolve("additional_chat_templates/tool_use.jinja")));
    assertEquals(CONFIG, Files.readString(merged.resolve("config.json")));
    try (SafeTensors stored = SafeTensors.open(merged.resolve("model.safetensors"))) {
      assertEquals(weights.keySet(), new TreeSet<>(stored.names()));
      assertFalse(stored.names().contains("lm_head.weight"));
      for (String name : weights.keySet()) {
        if (name.equals(QUERY)) {
          assertNear(plus(name, update, 0), stored.floats(name), 2, name);
        } else {
          assertArrayEquals(weights.get(name).values(), stored.floats(name), name);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = StoredType.class,
      names = {"BF16", "F16"})
  void tensorsKeepTheirTypeAndAreRoundedOnce(StoredType dtype) throws IOException {
    base(LLAMA, dtype);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).build();
    Path merged = merge(DecoderParts.adapter(LLAMA, List.of(update)));
    try (SafeTensors stored = SafeTensors.open(merged.resolve("model.safetensors"));
        Checkpoint before = new HuggingFaceDirectory(base).weights()) {
      for (String name : stored.names()) {
        assertEquals(dtype, stored.entry(name).dtype(), name);
        if (!name.equals(QUERY)) {
          assertArrayEquals(before.floats(name), stored.floats(name), name);
        }
      }
      weights.put(QUERY, new Tensor(new long[] {24, 10}, before.floats(QUERY)));
      float[] exact = plus(QUERY, update, 0);
      float[] rounded = stored.floats(QUERY);
      double roundoff = dtype == StoredType.BF16 ? Rounding.BFLOAT16 : Rounding.FLOAT16;
      // The sum is float32's before.
      double sum = Rounding.gamma(2 + 2, Rounding.FLOAT32) * Rounding.largest(exact);
      for (int i = 0; i < exact.length; i++) {
        // Below 2^-14 float16 has the spacing 2^-24.
        double most = Math.max(Math.abs(exact[i]) * roundoff, 0x1p-25) + 2 * sum;
        Rounding.assertNear(exact[i], rounded[i], most, "weight " + i);
      }
    }
  }

  /** Half-written is nothing: the weights appear as a whole. */
  private void assertNotMerged(LowRank update, String... parts) {
    IOException e =
        assertThrows(
            FormatException.class, () -> merge(DecoderParts.adapter(LLAMA, List.of(update))));
    for (String part : parts) {
      assertTrue(e.getMessage().contains(part), e.getMessage());
    }
    assertFalse(Files.exists(temporary.resolve("merged/model.safetensors")));
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e300, Double.POSITIVE_INFINITY})
  void aSumThatIsNotFiniteIsRefusedByItsTensor(double alpha) throws IOException {
    base(LLAMA, StoredType.F32);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).alpha(alpha).build();
    assertNotMerged(
        update,
        "tensor " + QUERY,
        " as value 0 with the update of",
        "lora_alpha is " + alpha,
        "train it anew");
  }

  @Test
  void aMagnitudeThatIsNotFiniteIsRefusedByItsTensor() throws IOException {
    base(LLAMA, StoredType.F32);
    Tensor magnitude = Parts.random(24);
    magnitude.values()[3] = Float.NaN;
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).magnitude(magnitude).build();
    assertNotMerged(update, "tensor " + QUERY, "NaN as value 30");
  }

  /** Divided by its norm, which is infinite, such a row would be 0. */
  @Test
  void aRowThatIsTooLongForItsNormIsRefusedByItsTensor() throws IOException {
    base(LLAMA, StoredType.F32);
    LowRank update =
        DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2)
            .alpha(1e300)
            .magnitude(Parts.random(24))
            .build();
    assertNotMerged(update, "tensor " + QUERY, "NaN as value 0", "lora_alpha is 1.0E300");
  }

  @Test
  void aWeightThatIsNotFiniteBeforeIsTheModels() throws IOException {
    Tensor query = Parts.random(24, 10);
    query.values()[7] = Float.POSITIVE_INFINITY;
    weights.put(QUERY, query);
    base(LLAMA, StoredType.F32);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).build();
    assertNotMerged(update, "tensor " + QUERY, "Infinity as value 7", "it was damaged");
  }

  /** Float16 ends at 65504, bfloat16 about where float32 does. */
  @Test
  void aSumThatFloat16DoesNotHoldIsRefusedWithTheRemedy() throws IOException {
    base(LLAMA, StoredType.F16);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).alpha(1e6).build();
    assertNotMerged(
        update,
        "tensor " + QUERY,
        "which float16 does not hold",
        "in bfloat16 or float32 (--model)");
  }

  @Test
  void bfloat16HoldsIt() throws IOException {
    base(LLAMA, StoredType.BF16);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).alpha(1e6).build();
    Path merged = merge(DecoderParts.adapter(LLAMA, List.of(update)));
    try (SafeTensors stored = SafeTensors.open(merged.resolve("model.safetensors"))) {
      assertTrue(Rounding.largest(stored.finiteFloats(QUERY)) > 65520);
    }
  }

  @Test
  void phi3sProjectionsAreRowsOfItsLinears() throws IOException {
    EncoderConfig phi3 = DecoderParts.config(Architecture.PHI3);
    base(phi3, StoredType.F32);
    LowRank key = DecoderParts.lora(phi3, 1, Projection.KEY, 2).build();
    LowRank up =
        DecoderParts.lora(phi3, 1, Projection.INTERMEDIATE, 2).magnitude(Parts.random(14)).build();
    Path merged = merge(DecoderParts.adapter(phi3, List.of(key, up)));
    try (SafeTensors stored = SafeTensors.open(merged.resolve("model.safetensors"))) {
      String attention = "model.layers.1.self_attn.qkv_proj.weight";
      assertNear(plus(attention, key, 24), stored.floats(attention), 2, attention);
      String feedForward = "model.layers.1.mlp.gate_up_proj.weight";
      float[] sum = plus(feedForward, up, 14);
      for (int row = 14; row < 28; row++) {
        double squares = 0;
        for (int i = 0; i < 10; i++) {
          squares += Math.pow(sum[row * 10 + i], 2);
        }
        for (int i = 0; i < 10; i++) {
          sum[row * 10 + i] *= (float) (up.magnitude().values()[row - 14] / Math.sqrt(squares));
        }
      }
      // A row's norm is of 10 squares, as each part of it moves the row.
      assertNear(sum, stored.floats(feedForward), 2 + 10, feedForward);
    }
  }

  @Test
  void aHeadForClassesIsInPlaceOfTheOutputLayerAndTheConfigurationNamesThem() throws IOException {
    weights.put("lm_head.weight", Parts.random(30, 10));
    base(LLAMA, StoredType.BF16);
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).build();
    Tensor head = Parts.random(2, 10);
    Path merged =
        merge(
            new TrainedAdapter(
                "x", LLAMA, List.of(update), List.of("no", "yes"), head, Parts.random(2)));
    try (SafeTensors stored = SafeTensors.open(merged.resolve("model.safetensors"))) {
      Set<String> expected = new TreeSet<>(weights.keySet());
      expected.remove("lm_head.weight");
      expected.addAll(Set.of("classifier.weight", "classifier.bias"));
      assertEquals(expected, new TreeSet<>(stored.names()));
      assertArrayEquals(head.values(), stored.floats("classifier.weight"));
      assertEquals(StoredType.BF16, stored.entry(QUERY).dtype());
    }
    Map<String, Object> config = RunDirectory.open(merged).readJson("config.json");
    String name = "LastTokenLlamaForSequenceClassification";
    assertEquals(List.of(name), config.get("architectures"));
    assertEquals(
        Map.of("AutoModelForSequenceClassification", "modeling_last_token." + name),
        config.get("auto_map"));
    assertTrue(
        Files.readString(merged.resolve("modeling_last_token.py")).contains("class " + name));
    assertFalse(Files.exists(merged.resolve("head.safetensors")));
    assertEquals(Map.of("0", "no", "1", "yes"), config.get("id2label"));
    assertEquals(1e-5, config.get("rms_norm_eps"));
  }

  @Test
  void updatesOfTwoTypesAreBothInTheWeights() throws IOException {
    base(LLAMA, StoredType.F32);
    LowRank lora = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).build();
    LowRank other = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 3).alpha(3).build();
    Path merged = merge(DecoderParts.adapter(LLAMA, List.of(lora, other)));
    weights.put(QUERY, new Tensor(new long[] {24, 10}, plus(QUERY, lora, 0)));
    try (SafeTensors stored = SafeTensors.open(merged.resolve("model.safetensors"))) {
      assertNear(plus(QUERY, other, 0), stored.floats(QUERY), 2 + 3, QUERY);
    }
  }

  /** Phi-3's names Python files that lie beside it on the hub, and are not copied. */
  @Test
  void codeThatIsNotThereIsNotNamed() throws IOException {
    base(LLAMA, StoredType.F32);
    Files.writeString(
        base.resolve("config.json"),
        """
        {"model_type": "phi3", "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config",
         "AutoTokenizer": ["tokenization_phi3.Phi3Tokenizer", null],
         "AutoModelForCausalLM": "some/repository--modeling_phi3.Phi3ForCausalLM"}}""");
    Files.writeString(
        base.resolve("tokenizer_config.json"),
        """
        {"model_max_length": 1000000000000000019884624838656, "auto_map": {"AutoTokenizer":
         ["tokenization_phi3.Phi3Tokenizer", "some/repository--fast.Phi3TokenizerFast"]}}""");
    LowRank update = DecoderParts.lora(LLAMA, 1, Projection.QUERY, 2).build();
    RunDirectory merged = RunDirectory.open(merge(DecoderParts.adapter(LLAMA, List.of(update))));
    assertEquals(
        Map.of(
            "model_max_length",
            new BigInteger("1000000000000000019884624838656"),
            "auto_map",
            Map.of(
                "AutoTokenizer", Arrays.asList(null, "some/repository--fast.Phi3TokenizerFast"))),
        merged.readJson("tokenizer_config.json"));
    assertEquals(
        Map.of(
            "model_type",
            "phi3",
            "auto_map",
            Map.of("AutoModelForCausalLM", "some/repository--modeling_phi3.Phi3ForCausalLM")),
        merged.readJson("config.json"));
  }

  @Test
  void theTokenizerPlacesWhatItsSettingsAskFor() throws IOException {
    base(LLAMA, StoredType.F32);
    String tokenizer =
        "{\"post_processor\": null, \"added_tokens\": [{\"content\": \"<s>\", \"id\": 7}]}";
    Files.writeString(base.resolve("tokenizer.json"), tokenizer);
    String settings = "{\"tokenizer_class\": \"LlamaTokenizerFast\", \"add_bos_token\": true}";
    Files.writeString(base.resolve("tokenizer_config.json"), settings);
    Path merged = merge(DecoderParts.adapter(LLAMA, List.of()));
    assertArrayEquals(
        new HuggingFaceDirectory(base).tokenizer(false),
        Files.readAllBytes(merged.resolve("tokenizer.json")));
    assertTrue(Files.readString(merged.resolve("tokenizer.json")).contains("\"ids\":[7]"));
    assertEquals(settings, Files.readString(merged.resolve("tokenizer_config.json")));
  }

  @Test
  void anAutoMapOfLocalCodeAloneIsLeftOut() throws IOException {
    base(LLAMA, StoredType.F32);
    Files.writeString(
        base.resolve("config.json"),
        "{\"model_type\": \"phi3\", \"auto_map\": {\"AutoConfig\": \"configuration_phi3.C\"}}");
    Files.writeString(
        base.resolve("tokenizer_config.json"),
        "{\"eos_token\": \"</s>\", \"auto_map\": {\"AutoTokenizer\": [\"phi3.Slow\", null]}}");
    Path merged = merge(DecoderParts.adapter(LLAMA, List.of()));
    assertEquals(Map.of("model_type", "phi3"), RunDirectory.open(merged).readJson("config.json"));
    assertEquals(
        Map.of("eos_token", "</s>"), RunDirectory.open(merged).readJson("tokenizer_config.json"));
  }
}
