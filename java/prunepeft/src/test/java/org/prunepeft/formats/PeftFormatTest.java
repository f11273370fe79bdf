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
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FrozenLinear;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Projection;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPart.SingularValues;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

class PeftFormatTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final PeftFormat format = new PeftFormat();

  @TempDir Path temporary;

  private Path write(TrainedAdapter adapter) throws IOException {
    Path directory = temporary.resolve("adapter");
    RunDirectory target = RunDirectory.create(directory);
    format.write(adapter, target);
    target.complete();
    return directory;
  }

  @Test
  void filesHaveTheKeysShapesAndFieldsThatPeftReads() throws IOException {
    LowRank odd = Parts.lora(2, "attention.self.value", 3, 2.5);
    Path directory =
        write(
            Parts.adapter(
                List.of(
                    Parts.lora(0, "attention.self.query", 4, 16),
                    Parts.lora(0, "attention.self.value", 4, 16),
                    odd,
                    Parts.lora(2, "output.dense", 4, 16))));
    JsonNode expected = JSON.readTree(Parts.resource("peft-adapter_config.json"));
    assertEquals(expected, JSON.readTree(directory.resolve("adapter_config.json").toFile()));
    Map<String, List<Long>> shapes =
        JSON.readValue(Parts.resource("peft-tensors.json"), new TypeReference<>() {});
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
      assertEquals(Map.of("format", "pt"), tensors.metadata());
      assertEquals(shapes, Parts.shapes(tensors));
      String key = "base_model.model.encoder.layer.2.attention.self.value.";
      assertArrayEquals(odd.a().values(), tensors.floats(key + "lora_A.weight"));
      assertArrayEquals(odd.b().values(), tensors.floats(key + "lora_B.weight"));
    }
  }

  /** Every projection of a layer, by the names that each architecture has for them. */
  @ParameterizedTest
  @MethodSource("org.prunepeft.formats.Parts#encodersButBert")
  void eachArchitectureHasItsOwnKeys(Architecture architecture) throws IOException {
    EncoderConfig encoder = Parts.encoder(architecture);
    List<AdapterPart> updates = new ArrayList<>();
    for (Projection projection : encoder.projections()) {
      updates.add(Parts.lora(encoder, projection));
    }
    Path directory = write(Parts.adapter(encoder, updates));
    Map<String, Map<String, List<Long>>> fixtures =
        JSON.readValue(Parts.resource("peft-architectures.json"), new TypeReference<>() {});
    Map<String, List<Long>> expected = fixtures.get(architecture.modelType());
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
      assertEquals(new TreeMap<>(expected), Parts.shapes(tensors));
    }
    JsonNode config = JSON.readTree(directory.resolve("adapter_config.json").toFile());
    assertEquals(
        expected.keySet().stream().filter(key -> key.contains("lora_A")).sorted().toList(),
        targets(config).stream()
            .map(path -> "base_model.model." + path + ".lora_A.weight")
            .sorted()
            .toList());
    // PEFT refuses a model in which nothing matches: one with a head that computes something else.
    String expression = config.get("target_modules").textValue();
    for (Projection projection : encoder.projections()) {
      String path = encoder.path(1, projection);
      assertTrue(Pattern.matches(expression, path), path);
      assertFalse(Pattern.matches(expression, architecture.prefix() + "." + path), path);
      assertFalse(Pattern.matches(expression, encoder.path(0, projection)), path);
    }
  }

  /** The paths that target_modules, an expression, is made of. */
  private static List<String> targets(JsonNode config) {
    return Arrays.stream(config.get("target_modules").textValue().split("\\|"))
        .map(path -> path.replace("\\.", "."))
        .toList();
  }

  /** Of 3 singular values, those that are not 0. */
  private static LowRank adaLora(int layer, float... singular) {
    AdaLoraConfig config = new AdaLoraConfig(3, 2, 1, 2, 4, 0.8, 0.9, 0.25, 50);
    return new LowRank(
        layer,
        "encoder.layer." + layer + ".attention.self.query",
        Parts.random(3, 24),
        Parts.random(24, 3),
        16,
        false,
        0.1,
        null,
        new SingularValues(new SafeTensors.Tensor(new long[] {3, 1}, singular), config));
  }

  @Test
  void adaLoraHasTheKeysAndFieldsOfPeftAndIsReadBack() throws IOException {
    LowRank two = adaLora(0, 0.5f, 0, -2);
    LowRank none = adaLora(1, 0, 0, 0);
    TrainedAdapter adapter = Parts.adapter(List.of(two, none));
    Path directory = write(adapter);
    JsonNode config = JSON.readTree(directory.resolve("adapter_config.json").toFile());
    JsonNode expected =
        JSON.readTree(
            """
            {"peft_type": "ADALORA", "init_r": 3, "target_r": 2, "tinit": 1, "tfinal": 2,
             "deltaT": 4, "beta1": 0.8, "beta2": 0.9, "orth_reg_weight": 0.25, "total_step": 50,
             "lora_alpha": 16, "use_dora": false, "use_rslora": false,
             "rank_pattern": {
               "encoder.layer.0.attention.self.query.lora_E": [true, false, true],
               "encoder.layer.1.attention.self.query.lora_E": [false, false, false]}}""");
    expected
        .properties()
        .forEach(
            field -> assertEquals(field.getValue(), config.get(field.getKey()), field.getKey()));
    String key = "base_model.model.encoder.layer.0.attention.self.query";
    try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
      Map<String, List<Long>> shapes = Parts.shapes(tensors);
      assertEquals(List.of(2L, 24L), shapes.get(key + ".lora_A"));
      assertEquals(List.of(2L, 1L), shapes.get(key + ".lora_E"));
      assertEquals(List.of(24L, 2L), shapes.get(key + ".lora_B"));
      assertEquals(List.of(0L, 24L), shapes.get(key.replace("layer.0", "layer.1") + ".lora_A"));
      assertEquals(6, shapes.size(), shapes.toString());
      assertArrayEquals(new float[] {0.5f, -2}, tensors.floats(key + ".lora_E"));
      assertEquals(two.a().values()[2 * 24 + 5], tensors.floats(key + ".lora_A")[24 + 5]);
      assertEquals(two.b().values()[7 * 3 + 2], tensors.floats(key + ".lora_B")[7 * 2 + 1]);
    }
    List<LowRank> read =
        format
            .read(
                directory,
                JSON.convertValue(config, new TypeReference<Map<String, Object>>() {}),
                SmallBert.CONFIG,
                List.of("a", "b", "c"))
            .lowRank();
    assertEquals(2, read.size());
    for (int i = 0; i < 2; i++) {
      LowRank before = List.of(two, none).get(i);
      assertEquals(before.singular().config(), read.get(i).singular().config());
      assertEquals(before.scale(), read.get(i).scale());
      assertArrayEquals(
          before.singular().values().values(), read.get(i).singular().values().values());
      for (int k = 0; k < 3; k++) {
        boolean kept = before.singular().values().values()[k] != 0;
        assertEquals(kept ? before.a().values()[k * 24] : 0, read.get(i).a().values()[k * 24]);
        assertEquals(kept ? before.b().values()[k] : 0, read.get(i).b().values()[k]);
      }
    }
    Map<String, Object> damaged =
        JSON.convertValue(config, new TypeReference<Map<String, Object>>() {});
    damaged.put("init_r", 4);
    assertTrue(
        assertThrows(
                FormatException.class,
                () -> format.read(directory, damaged, SmallBert.CONFIG, List.of("a", "b", "c")))
            .getMessage()
            .contains("rank_pattern must hold a list of 4 (init_r)"));
    damaged.put("init_r", 10_001);
    assertTrue(
        assertThrows(
                FormatException.class,
                () -> format.read(directory, damaged, SmallBert.CONFIG, List.of("a", "b", "c")))
            .getMessage()
            .contains("init_r must be at most 10000 with a rank_pattern, got 10001"));
    damaged.put("init_r", 2_000_000_000);
    damaged.remove("rank_pattern");
    assertTrue(
        assertThrows(
                FormatException.class,
                () -> format.read(directory, damaged, SmallBert.CONFIG, List.of("a", "b", "c")))
            .getMessage()
            .contains("init_r is 2000000000 without a rank_pattern, but"));
    damaged.put("init_r", 2.5);
    assertTrue(
        assertThrows(
                IllegalArgumentException.class,
                () -> format.read(directory, damaged, SmallBert.CONFIG, List.of("a", "b", "c")))
            .getMessage()
            .contains("init_r must be a whole number, got 2.5"));
  }

  @Test
  void adaLoraThatCameWithoutTotalStepLeavesWithAPositiveOne() throws IOException {
    Path directory = write(Parts.adapter(List.of(adaLora(0, 0.5f, 0, -2))));
    Path file = directory.resolve("adapter_config.json");
    Map<String, Object> older =
        JSON.readValue(file.toFile(), new TypeReference<Map<String, Object>>() {});
    older.put("total_step", null);
    TrainedAdapter read = format.read(directory, older, SmallBert.CONFIG, List.of("a", "b", "c"));
    assertEquals(0, read.lowRank().get(0).singular().config().totalStep());
    Path again = temporary.resolve("again");
    RunDirectory target = RunDirectory.create(again);
    format.write(read, target);
    target.complete();
    JsonNode config = JSON.readTree(again.resolve("adapter_config.json").toFile());
    assertEquals(4, config.get("total_step").asInt());
    assertEquals(1, config.get("tinit").asInt());
    assertEquals(2, config.get("tfinal").asInt());
  }

  @Test
  void whatPeftCannotHoldIsRefusedWithTheRemedy() {
    LowRank lora = Parts.lora(0, "attention.self.query", 4, 16);
    TrainedAdapter mixed =
        Parts.adapter(
            List.of(lora, Parts.bottleneck(1, Block.FEED_FORWARD, Bottleneck.Input.NORMED_SUM, 5)));
    String message = assertThrows(IllegalArgumentException.class, () -> write(mixed)).getMessage();
    assertTrue(message.contains("PEFT has no bottleneck adapters"), message);
    assertTrue(message.contains("--format adapters"), message);
    assertTrue(message.contains("search with --adapter-size 0 for LoRA alone"), message);
    assertFalse(Files.exists(temporary.resolve("adapter/adapter_config.json")));
    TrainedAdapter none = Parts.adapter(List.of());
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> format.require(none))
            .getMessage()
            .contains("at least one LoRA module"));
    String path = lora.path().replace("layer.0", "layer.1");
    LowRank dora = new LowRank(1, path, lora.a(), lora.b(), 16, false, 0.1, Parts.random(24), null);
    TrainedAdapter half = Parts.adapter(List.of(lora, dora));
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> format.require(half))
            .getMessage()
            .contains("use_dora"));
  }

  /** W + lora_alpha / r · B A for every key of the files, by PEFT's rules alone. */
  private static final class Merged implements Insertions {
    private final Map<String, Tensor> deltas = new TreeMap<>();

    Merged(Path directory) throws IOException {
      JsonNode config = JSON.readTree(directory.resolve("adapter_config.json").toFile());
      try (SafeTensors tensors = SafeTensors.open(directory.resolve("adapter_model.safetensors"))) {
        for (String path : targets(config)) {
          int rank = config.get("rank_pattern").path(path).asInt(config.get("r").asInt());
          double alpha =
              config.get("alpha_pattern").path(path).asDouble(config.get("lora_alpha").asDouble());
          double scale = alpha / (config.get("use_rslora").asBoolean() ? Math.sqrt(rank) : rank);
          Tensor a = load(tensors, "base_model.model." + path + ".lora_A.weight");
          Tensor b = load(tensors, "base_model.model." + path + ".lora_B.weight");
          assertEquals(rank, a.size(0));
          deltas.put(path, b.matmul(a).mul(new org.bytedeco.pytorch.Scalar(scale)));
        }
      }
    }

    private static Tensor load(SafeTensors tensors, String key) throws IOException {
      return Torch.floats(tensors.floats(key), tensors.entry(key).shape())
          .to(torch.ScalarType.Double);
    }

    @Override
    public Tensor afterLinear(FrozenLinear linear, Tensor x, Tensor y) {
      TensorVector rows = new TensorVector();
      for (FrozenLinear.Part part : linear.parts()) {
        Tensor own =
            linear.weight().narrow(0, part.firstRow(), part.rows()).to(torch.ScalarType.Double);
        Tensor delta = deltas.get(part.path());
        rows.push_back(delta == null ? own : own.add(delta));
      }
      Tensor weight = torch.cat(rows, 0).to(torch.ScalarType.Float);
      return torch.linear(x, weight, new TensorOptional(linear.bias()));
    }
  }

  @Test
  void aModelWithTheExportedUpdatesGivesTheSameHiddenStates() throws IOException {
    Torch.load();
    PeftConfig config =
        PeftConfig.of(LoraConfig.of(5, 7, 0.2, List.of("query", "value", "output.dense")), null);
    long seed = TestSeed.draw();
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder encoder = SmallBert.create(seed, Precision.FLOAT32);
        Tape tape = new Tape();
        PeftModules modules =
            new PeftModules(
                config,
                SmallBert.CONFIG,
                config.space(SmallBert.CONFIG).candidates().stream()
                    .filter(module -> module.layer() != 1)
                    .toList())) {
      for (FlatParameters group : modules.groups().values()) {
        group.values().normal_(0, 0.3, RandomTensors.generator());
      }
      Path directory = write(Parts.adapter(new ArrayList<>(Parts.of(config, modules))));
      EncoderInput input = input();
      modules.begin(ForwardPass.evaluation(tape));
      float[] ours = Torch.toFloats(encoder.forward(input, modules));
      float[] merged = Torch.toFloats(encoder.forward(input, new Merged(directory)));
      float[] frozen = Torch.toFloats(encoder.forward(input, Insertions.NONE));
      // What rounding may move is measured, by weights that are off as far as a sum may be.
      double share = RandomCheckpoint.share(SmallBert.CONFIG, 11);
      Random random = TestSeed.random();
      double moved =
          Rounding.moved(
              ours,
              () -> {
                try (Encoder off = SmallBert.perturbed(seed, share, random)) {
                  return Torch.toFloats(off.forward(input, modules));
                }
              });
      Rounding.assertNear(merged, ours, 2 * moved, "hidden states");
      assertTrue(distance(merged, frozen) > 1e-2, "the updates change nothing");
    }
  }

  static EncoderInput input() {
    Random random = TestSeed.random();
    long[] ids = random.longs(3 * 11, 0, SmallBert.CONFIG.vocabulary()).toArray();
    byte[] mask = new byte[3 * 11];
    Arrays.fill(mask, (byte) 1);
    return EncoderInput.of(ids, new long[3 * 11], mask, 3, 11);
  }

  static double distance(float[] expected, float[] actual) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      difference += Math.pow(expected[i] - actual[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / norm);
  }
}
