package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;

/** PEFT's files of language models. */
class LanguageAdapterTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final EncoderConfig LLAMA = DecoderParts.config(Architecture.LLAMA);
  private static final EncoderConfig PHI3 = DecoderParts.config(Architecture.PHI3);
  private final PeftFormat format = new PeftFormat();

  @TempDir Path temporary;

  private Path write(TrainedAdapter adapter) throws IOException {
    Path directory = temporary.resolve("adapter" + temporary.toFile().list().length);
    RunDirectory target = RunDirectory.create(directory);
    format.write(adapter, target);
    target.complete();
    return directory;
  }

  private static Map<String, Object> config(Path directory) throws IOException {
    return JSON.readValue(
        directory.resolve(AdapterFormat.CONFIG).toFile(), new TypeReference<>() {});
  }

  private TrainedAdapter read(Path directory, EncoderConfig encoder) throws IOException {
    return format.read(directory, config(directory), encoder, List.of());
  }

  /** s·B·A of each key, by PEFT's rules alone. */
  private static Map<String, double[]> deltas(Path directory) throws IOException {
    JsonNode config = JSON.readTree(directory.resolve("adapter_config.json").toFile());
    Map<String, double[]> deltas = new TreeMap<>();
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
      for (String key : tensors.names()) {
        if (!key.endsWith(".lora_A.weight")) {
          continue;
        }
        String module = key.substring("base_model.model.".length()).replace(".lora_A.weight", "");
        assertTrue(targeted(config, module), module);
        int rank = config.get("rank_pattern").path(module).asInt(config.get("r").asInt());
        double alpha =
            config.get("alpha_pattern").path(module).asDouble(config.get("lora_alpha").asDouble());
        assertEquals(rank, tensors.shape(key)[0]);
        double scale = alpha / (config.get("use_rslora").asBoolean() ? Math.sqrt(rank) : rank);
        double[] b = DecoderParts.doubles(tensors.floats(key.replace("lora_A", "lora_B")));
        for (int i = 0; i < b.length; i++) {
          b[i] *= scale;
        }
        deltas.put(module, DecoderParts.product(b, tensors.floats(key), rank));
      }
    }
    return deltas;
  }

  private static boolean targeted(JsonNode config, String module) {
    JsonNode targets = config.get("target_modules");
    if (targets.isTextual()) {
      return Pattern.matches(targets.asText(), module);
    }
    boolean named = false;
    for (JsonNode target : targets) {
      named |= module.endsWith("." + target.asText());
    }
    JsonNode layers = config.get("layers_to_transform");
    boolean layer = layers.isNull();
    for (JsonNode one : layers) {
      layer |= module.contains(".layers." + one + ".");
    }
    return named && layer;
  }

  /** An update of a whole linear of 10 inputs, which has updates of parts from some rows on. */
  private static void assertRows(
      int rows, Map<Integer, List<LowRank>> parts, double[] actual, String what) {
    double[] expected = new double[rows * 10];
    double[] magnitudes = new double[rows * 10];
    parts.forEach(
        (first, part) -> {
          for (LowRank update : part) {
            double[] own = DecoderParts.delta(update);
            double[] sizes = DecoderParts.magnitudes(update);
            for (int i = 0; i < own.length; i++) {
              expected[first * 10 + i] += own[i];
              magnitudes[first * 10 + i] += sizes[i];
            }
          }
        });
    DecoderParts.assertSameUpdate(expected, magnitudes, actual, what);
  }

  private static LowRank lora(int layer, Projection projection, int rank) {
    return DecoderParts.lora(LLAMA, layer, projection, rank).build();
  }

  @Test
  void aPrunedAdapterIsNamedLinearByLinear() throws IOException {
    TrainedAdapter adapter =
        DecoderParts.adapter(
            LLAMA,
            List.of(
                lora(0, Projection.QUERY, 2),
                lora(0, Projection.OUTPUT, 2),
                lora(2, Projection.GATE, 3)));
    Path directory = write(adapter);
    assertEquals(
        Set.of("adapter_config.json", "adapter_model.safetensors"),
        Set.of(directory.toFile().list()));
    try (SafeTensors stored = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
      String root = "base_model.model.model.layers.";
      assertEquals(
          Map.of(
              root + "0.mlp.down_proj.lora_A.weight", List.of(2L, 14L),
              root + "0.mlp.down_proj.lora_B.weight", List.of(10L, 2L),
              root + "0.self_attn.q_proj.lora_A.weight", List.of(2L, 10L),
              root + "0.self_attn.q_proj.lora_B.weight", List.of(24L, 2L),
              root + "2.mlp.gate_proj.lora_A.weight", List.of(3L, 10L),
              root + "2.mlp.gate_proj.lora_B.weight", List.of(14L, 3L)),
          Parts.shapes(stored));
    }
    Map<String, Object> config = config(directory);
    assertEquals("CAUSAL_LM", config.get("task_type"));
    assertEquals(2, config.get("r"));
    assertEquals(Map.of("model.layers.2.mlp.gate_proj", 3), config.get("rank_pattern"));
    String targets = (String) config.get("target_modules");
    assertTrue(Pattern.matches(targets, "model.layers.2.mlp.gate_proj"), targets);
    assertFalse(Pattern.matches(targets, "model.layers.0.mlp.gate_proj"), targets);
    Parts.assertSame(adapter, read(directory, LLAMA));
  }

  @Test
  void theSameLinearsInSomeLayersAreNamesAndLayers() throws IOException {
    List<LowRank> updates = new ArrayList<>();
    for (int layer : List.of(0, 2)) {
      updates.add(lora(layer, Projection.VALUE, 2));
      updates.add(lora(layer, Projection.INTERMEDIATE, 2));
    }
    Map<String, Object> some = config(write(DecoderParts.adapter(LLAMA, updates)));
    assertEquals(List.of("up_proj", "v_proj"), some.get("target_modules"));
    assertEquals(List.of(0, 2), some.get("layers_to_transform"));
    assertEquals("layers", some.get("layers_pattern"));
    updates.add(lora(1, Projection.VALUE, 2));
    updates.add(lora(1, Projection.INTERMEDIATE, 2));
    Map<String, Object> all = config(write(DecoderParts.adapter(LLAMA, updates)));
    assertEquals(List.of("up_proj", "v_proj"), all.get("target_modules"));
    assertEquals(null, all.get("layers_to_transform"));
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.formats.DecoderParts#decoders")
  void whatIsWrittenOfAnyFamilyIsReadBackWithTheSameEffect(Architecture architecture)
      throws IOException {
    EncoderConfig encoder = DecoderParts.config(architecture);
    List<LowRank> updates = new ArrayList<>();
    for (Projection projection : encoder.projections()) {
      updates.add(
          DecoderParts.lora(encoder, 1, projection, 1 + updates.size() % 3).rsLora(true).build());
    }
    updates.add(DecoderParts.lora(encoder, 2, Projection.KEY, 2).rsLora(true).alpha(3).build());
    updates.add(DecoderParts.lora(encoder, 2, Projection.GATE, 2).rsLora(true).build());
    Path directory = write(DecoderParts.adapter(encoder, updates));
    TrainedAdapter read = read(directory, encoder);
    assertEquals(updates.size(), read.lowRank().size());
    for (LowRank update : updates) {
      LowRank back =
          read.lowRank().stream().filter(u -> u.path().equals(update.path())).findFirst().get();
      assertEquals(update.rank(), back.rank());
      assertArrayEquals(update.a().values(), back.a().values());
      DecoderParts.assertSameUpdate(update, DecoderParts.delta(back), update.path());
    }
    assertEquals(ImportedModules.of(read.parts(), encoder).lora().dropout(), 0.1);
  }

  @Test
  void phi3sUpdatesOfPartsOfALinearAreOneOfTheWhole() throws IOException {
    LowRank query = DecoderParts.lora(PHI3, 0, Projection.QUERY, 2).alpha(5).build();
    LowRank value = DecoderParts.lora(PHI3, 0, Projection.VALUE, 3).build();
    LowRank up = DecoderParts.lora(PHI3, 0, Projection.INTERMEDIATE, 2).build();
    Map<String, double[]> deltas =
        deltas(write(DecoderParts.adapter(PHI3, List.of(query, value, up))));
    assertEquals(
        Set.of("model.layers.0.self_attn.qkv_proj", "model.layers.0.mlp.gate_up_proj"),
        deltas.keySet());
    String attention = "model.layers.0.self_attn.qkv_proj";
    assertRows(48, Map.of(0, List.of(query), 36, List.of(value)), deltas.get(attention), attention);
    String feedForward = "model.layers.0.mlp.gate_up_proj";
    assertRows(28, Map.of(14, List.of(up)), deltas.get(feedForward), feedForward);
  }

  @Test
  void theWeightOfAPartOfALinearIsItsRows() throws IOException {
    Tensor fused = Parts.random(28, 10);
    MapCheckpoint model =
        new MapCheckpoint("memory", Map.of("layers.2.mlp.gate_up_proj.weight", fused));
    Tensor up = StoredLinear.weight(PHI3, model, PHI3.path(2, Projection.INTERMEDIATE));
    assertArrayEquals(new long[] {14, 10}, up.shape());
    assertArrayEquals(Arrays.copyOfRange(fused.values(), 140, 280), up.values());
  }

  @Test
  void anUpdateOfAWholeLinearOfPhi3KeepsItsBits() throws IOException {
    Tensor a = Parts.random(2, 10);
    List<LowRank> updates = new ArrayList<>();
    for (Projection part : List.of(Projection.QUERY, Projection.KEY, Projection.VALUE)) {
      updates.add(DecoderParts.lora(PHI3, 1, part, 2).a(a).alpha(7).build());
    }
    TrainedAdapter adapter = DecoderParts.adapter(PHI3, updates);
    Path directory = write(adapter);
    assertEquals(2, config(directory).get("r"));
    assertEquals(7, config(directory).get("lora_alpha"));
    Parts.assertSame(adapter, read(directory, PHI3));
  }

  @Test
  void adaLoraOfPhi3IsWrittenAsLora() throws IOException {
    LowRank query = DecoderParts.adaLora(PHI3, 0, Projection.QUERY);
    LowRank output = DecoderParts.adaLora(PHI3, 0, Projection.ATTENTION_OUTPUT);
    Path directory = write(DecoderParts.adapter(PHI3, List.of(query, output)));
    assertEquals("LORA", config(directory).get("peft_type"));
    Map<String, double[]> deltas = deltas(directory);
    String fused = "model.layers.0.self_attn.qkv_proj";
    assertRows(48, Map.of(0, List.of(query)), deltas.get(fused), fused);
    DecoderParts.assertSameUpdate(output, deltas.get("model.layers.0.self_attn.o_proj"), "o_proj");
  }

  @Test
  void adaLoraOfALlamaNamesItsRanksByTheModelsPaths() throws IOException {
    TrainedAdapter adapter =
        DecoderParts.adapter(LLAMA, List.of(DecoderParts.adaLora(LLAMA, 1, Projection.KEY)));
    Path directory = write(adapter);
    assertEquals(
        Map.of("model.layers.1.self_attn.k_proj.lora_E", List.of(true, false, true)),
        config(directory).get("rank_pattern"));
    assertArrayEquals(
        new float[] {0.5f, 0, -2},
        read(directory, LLAMA).lowRank().get(0).singular().values().values());
  }

  @Test
  void aClassifiersScoreIsAHeadWithoutBias() throws IOException {
    LowRank update = lora(0, Projection.QUERY, 2);
    Path directory = write(DecoderParts.adapter(LLAMA, List.of(update)));
    Map<String, Object> config = config(directory);
    config.put("task_type", "SEQ_CLS");
    config.put("modules_to_save", List.of("classifier", "score"));
    Tensor score = Parts.random(3, 10);
    writeWithScore(directory, update, score);
    TrainedAdapter read = format.read(directory, config, LLAMA, List.of("a", "b", "c"));
    assertArrayEquals(score.values(), read.headWeight().values());
    assertArrayEquals(new float[3], read.headBias().values());
  }

  @Test
  void aPortableAdapterHasOneRankAndNoScaleAndComputesTheSame() throws IOException {
    List<LowRank> updates =
        List.of(
            DecoderParts.lora(LLAMA, 0, Projection.QUERY, 2).alpha(3).build(),
            DecoderParts.lora(LLAMA, 1, Projection.OUTPUT, 5).rsLora(true).build(),
            DecoderParts.adaLora(LLAMA, 2, Projection.GATE));
    TrainedAdapter portable = PortableAdapter.of(DecoderParts.adapter(LLAMA, updates));
    Path directory = write(portable);
    Map<String, Object> config = config(directory);
    assertEquals("LORA", config.get("peft_type"));
    assertEquals(5, config.get("r"));
    assertEquals(5, config.get("lora_alpha"));
    assertEquals(Map.of(), config.get("rank_pattern"));
    assertEquals(Map.of(), config.get("alpha_pattern"));
    assertEquals(false, config.get("use_rslora"));
    assertEquals(null, config.get("modules_to_save"));
    Map<String, double[]> deltas = deltas(directory);
    assertEquals(3, deltas.size());
    for (LowRank update : updates) {
      DecoderParts.assertSameUpdate(update, deltas.get("model." + update.path()), update.path());
    }
  }

  @Test
  void aPortableAdapterOfPhi3IsOfItsFusedLinears() throws IOException {
    LowRank key = DecoderParts.lora(PHI3, 0, Projection.KEY, 2).build();
    LowRank query = DecoderParts.lora(PHI3, 0, Projection.QUERY, 2).build();
    LowRank down = DecoderParts.lora(PHI3, 0, Projection.OUTPUT, 1).build();
    Path directory =
        write(PortableAdapter.of(DecoderParts.adapter(PHI3, List.of(key, query, down))));
    assertEquals(4, config(directory).get("r"));
    Map<String, double[]> deltas = deltas(directory);
    String fused = "model.layers.0.self_attn.qkv_proj";
    assertRows(48, Map.of(0, List.of(query), 24, List.of(key)), deltas.get(fused), fused);
    DecoderParts.assertSameUpdate(down, deltas.get("model.layers.0.mlp.down_proj"), "down_proj");
  }

  @Test
  void whatOthersDoNotTakeIsRefusedWithTheRemedy() {
    LowRank update = lora(0, Projection.QUERY, 2);
    LowRank dora =
        DecoderParts.lora(LLAMA, 0, Projection.KEY, 2).magnitude(Parts.random(12)).build();
    refused("vLLM takes no DoRA", DecoderParts.adapter(LLAMA, List.of(dora)));
    refused("none; --merge writes the whole model", DecoderParts.adapter(LLAMA, List.of()));
    refused(
        "has a head of its own; --format peft holds it, and --merge writes a whole model with it",
        new TrainedAdapter(
            "x", LLAMA, List.of(update), List.of(), Parts.random(1, 10), Parts.random(1)));
    refused(
        "search with --adapter-size 0",
        DecoderParts.adapter(
            LLAMA,
            List.of(
                update, Parts.bottleneck(0, Block.FEED_FORWARD, Bottleneck.Input.NORMED_SUM, 2))));
    LowRank fused =
        DecoderParts.lora(PHI3, 0, Projection.KEY, 2).magnitude(Parts.random(12)).build();
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> format.require(DecoderParts.adapter(PHI3, List.of(fused))))
            .getMessage();
    assertTrue(message.contains("train without --use-dora"), message);
    TrainedAdapter decoder = DecoderParts.adapter(LLAMA, List.of(update));
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> new AdapterHubFormat().require(decoder))
            .getMessage()
            .contains("--format peft"));
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> OnnxModel.require(decoder))
            .getMessage()
            .contains("--merge"));
    assertFalse(Files.exists(temporary.resolve("adapter0")));
  }

  private static void refused(String message, TrainedAdapter adapter) {
    String actual =
        assertThrows(IllegalArgumentException.class, () -> PortableAdapter.of(adapter))
            .getMessage();
    assertTrue(actual.contains(message), actual);
  }

  /** LoRA and VeRA on the query, whose scales differ. */
  private static List<LowRank> ofTwoTypes(EncoderConfig encoder) {
    return List.of(
        DecoderParts.lora(encoder, 0, Projection.QUERY, 2).rsLora(true).build(),
        DecoderParts.lora(encoder, 0, Projection.KEY, 2).rsLora(true).build(),
        DecoderParts.lora(encoder, 0, Projection.QUERY, 3).alpha(3).build());
  }

  @Test
  void updatesOfTwoTypesOnAProjectionAreOne() throws IOException {
    List<LowRank> updates = ofTwoTypes(LLAMA);
    TrainedAdapter adapter = DecoderParts.adapter(LLAMA, updates);
    Map<Integer, List<LowRank>> query = Map.of(0, List.of(updates.get(0), updates.get(2)));
    for (TrainedAdapter written : List.of(adapter, PortableAdapter.of(adapter))) {
      Path directory = write(written);
      Map<String, double[]> deltas = deltas(directory);
      assertEquals(2, deltas.size());
      assertRows(24, query, deltas.get("model.layers.0.self_attn.q_proj"), "q_proj");
      DecoderParts.assertSameUpdate(
          updates.get(1), deltas.get("model.layers.0.self_attn.k_proj"), "k_proj");
      TrainedAdapter read = read(directory, LLAMA);
      assertRows(24, query, DecoderParts.delta(read.lowRank().get(0)), "read");
      assertEquals(2, ImportedModules.of(read.parts(), LLAMA).lora().targets().size());
    }
    List<LowRank> fused = ofTwoTypes(PHI3);
    Map<String, double[]> deltas = deltas(write(DecoderParts.adapter(PHI3, fused)));
    Map<Integer, List<LowRank>> parts =
        Map.of(0, List.of(fused.get(0), fused.get(2)), 24, List.of(fused.get(1)));
    assertRows(48, parts, deltas.get("model.layers.0.self_attn.qkv_proj"), "qkv_proj");
  }

  @Test
  void updatesOfTwoTypesThatAreNoneTogetherAreRefused() {
    LowRank dora =
        DecoderParts.lora(LLAMA, 0, Projection.KEY, 2).magnitude(Parts.random(12)).build();
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> DecoderParts.adapter(LLAMA, List.of(dora, lora(0, Projection.KEY, 2))))
            .getMessage();
    assertTrue(
        message.contains(
            "sit on layers.0.self_attn.k_proj, DoRA and LoRA, which together are no low-rank"),
        message);
    assertTrue(message.contains("train without --use-dora"), message);
  }

  /** As PEFT writes it where a LoraConfig was made without a task_type. */
  @Test
  void aDecodersAdapterWithoutTaskTypeAndHeadIsALanguageModels() throws IOException {
    LowRank update = lora(0, Projection.QUERY, 2);
    Path directory = write(DecoderParts.adapter(LLAMA, List.of(update)));
    Map<String, Object> config = config(directory);
    config.put("task_type", null);
    assertTrue(format.ofLanguageModel(directory, config, () -> true));
    assertFalse(format.ofLanguageModel(directory, config, () -> false));
    assertFalse(format.read(directory, config, LLAMA, List.of()).hasHead());
    writeWithScore(directory, update, Parts.random(3, 10));
    assertFalse(format.ofLanguageModel(directory, config, () -> true));
    assertTrue(format.read(directory, config, LLAMA, List.of("a", "b", "c")).hasHead());
  }

  /** An update of layer 0's query, and a classifier's weight. */
  private static void writeWithScore(Path directory, LowRank update, Tensor score)
      throws IOException {
    String key = "base_model.model.model.layers.0.self_attn.q_proj.lora_";
    SafeTensors.write(
        directory.resolve("adapter_model.safetensors"),
        Map.of(
            key + "A.weight",
            update.a(),
            key + "B.weight",
            update.b(),
            "base_model.model.score.weight",
            score));
  }
}
