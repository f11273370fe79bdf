package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.Block;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Models;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Pretrained;
import org.prunepeft.model.Projection;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.Bottleneck;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.peft.AdapterPartLowRankBuilder;
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

class MergedModelTest {
  private static final byte[] TOKENIZER = {'{', '}'};
  private static final LoraConfig LORA =
      LoraConfig.of(
          3, 5, 0, Architecture.BERT.projections().stream().map(Projection::target).toList());

  @TempDir Path temporary;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private Path write(TrainedAdapter adapter, Map<String, SafeTensors.Tensor> base)
      throws IOException {
    Path directory = temporary.resolve("model");
    RunDirectory target = RunDirectory.create(directory);
    try (Pretrained model =
        new Pretrained(adapter.encoder(), TOKENIZER, new MapCheckpoint("base", base))) {
      MergedModel.write(adapter, model, 77, target);
    }
    target.complete();
    return directory;
  }

  /** As a model with a task head has it. */
  private static Map<String, SafeTensors.Tensor> withHead(
      String prefix, Map<String, SafeTensors.Tensor> encoder) {
    Map<String, SafeTensors.Tensor> whole = new TreeMap<>();
    encoder.forEach((name, tensor) -> whole.put(prefix + "." + name, tensor));
    whole.put("classifier.weight", Parts.random(2, 24));
    return whole;
  }

  private static LoraConfig dora() {
    return LoraConfig.of(3, 5, 0, LORA.targets())
        .with()
        .rsLora(true)
        .dora(true)
        .perProjection(true)
        .build();
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void theModelComputesWhatItsBaseWithTheModulesDoes(EncoderConfig config) throws IOException {
    assertComputesTheSame(config, LORA);
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void theModelComputesWhatItsBaseWithDoraDoes(EncoderConfig config) throws IOException {
    assertComputesTheSame(config, dora());
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void theModelComputesWhatItsBaseWithAdaLoraDoes(EncoderConfig config) throws IOException {
    assertComputesTheSame(
        config, LORA.withAdaLora(new AdaLoraConfig(4, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9)));
  }

  /**
   * A stored weight is a sum in float32 of the base's and the products of {@code rank} terms with
   * their scale, and under DoRA divided by a norm of 24 or 40 squares; the expected one is rounded
   * once or twice.
   */
  private static void assertNear(float[] expected, float[] stored, int rank, String what) {
    double share = Rounding.likely(rank + SmallBert.CONFIG.intermediate() + 4, Rounding.FLOAT32);
    Rounding.assertNear(expected, stored, share * Rounding.largest(expected), what);
  }

  private void assertComputesTheSame(EncoderConfig config, LoraConfig lora) throws IOException {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, random);
    int length = 9;
    long[] ids = random.longs(2 * length, 2, config.vocabulary()).toArray();
    byte[] mask = new byte[2 * length];
    Arrays.fill(mask, 0, 2 * length - 4, (byte) 1);
    PeftConfig peft = PeftConfig.of(lora, null);
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        Encoder encoder = new PostNormEncoder(config, new MapCheckpoint("base", tensors));
        PeftModules modules = new PeftModules(peft, config, peft.space(config).candidates())) {
      for (FlatParameters group : modules.groups().values()) {
        group.values().normal_(0, 0.2, RandomTensors.generator());
      }
      EncoderInput input = EncoderInput.of(ids, new long[2 * length], mask, 2, length);
      modules.begin(ForwardPass.evaluation(tape));
      float[] ours = Torch.toFloats(encoder.forward(input, modules));
      TrainedAdapter adapter =
          new TrainedAdapter(
              "base",
              config,
              Parts.of(peft, modules, config, name -> tensors.get(name + ".weight")),
              List.of("no", "yes"),
              Parts.random(2, config.hidden()),
              Parts.random(2));
      Path directory = write(adapter, withHead(config.architecture().prefix(), tensors));
      try (SafeTensors written = SafeTensors.open(directory.resolve("model.safetensors"))) {
        Set<String> expected = new TreeSet<>(Set.of("classifier.weight", "classifier.bias"));
        tensors.keySet().forEach(name -> expected.add(config.architecture().prefix() + "." + name));
        assertEquals(expected, new TreeSet<>(written.names()));
        assertArrayEquals(adapter.headWeight().values(), written.floats("classifier.weight"));
      }
      Models.LoadedModel merged = Models.byName(directory.toString()).loader().load();
      try (Encoder whole = merged.encoder()) {
        assertEquals(config, whole.config());
        assertArrayEquals(TOKENIZER, merged.tokenizer());
        float[] actual = Torch.toFloats(whole.forward(input, Insertions.NONE));
        int real = (2 * length - 4) * config.hidden();
        float[] tokens = Arrays.copyOf(ours, real);
        // What rounding may move is measured, by weights that are off as far as a sum may be.
        double share = RandomCheckpoint.share(config, length);
        double moved =
            Rounding.moved(
                tokens,
                () -> {
                  var others = RandomCheckpoint.perturbed(tensors, share, random);
                  try (Encoder off =
                      new PostNormEncoder(config, new MapCheckpoint("off", others))) {
                    return Arrays.copyOf(Torch.toFloats(off.forward(input, modules)), real);
                  } catch (IOException e) {
                    throw new UncheckedIOException(e);
                  }
                });
        Rounding.assertNear(tokens, Arrays.copyOf(actual, real), 2 * moved, "hidden states");
        float[] frozen = Torch.toFloats(encoder.forward(input, Insertions.NONE));
        assertTrue(PeftFormatTest.distance(actual, frozen) > 0.01, "the modules change nothing");
      }
    }
  }

  @Test
  void ranksScalesAndMagnitudesAreThoseOfEachUpdate() throws IOException {
    Map<String, SafeTensors.Tensor> tensors =
        RandomCheckpoint.tensors(SmallBert.CONFIG, TestSeed.random());
    LowRank plain = Parts.lora(0, "output.dense", 5, 3);
    LowRank query = Parts.lora(1, "attention.self.query", 4, 16);
    LowRank stabilised =
        new LowRank(1, query.path(), query.a(), query.b(), 16, true, 0, null, null);
    LowRank key = Parts.lora(2, "attention.self.key", 2, 7);
    LowRank dora =
        new LowRank(2, key.path(), key.a(), key.b(), 7, false, 0, Parts.random(24), null);
    Path directory = write(Parts.adapter(List.of(plain, stabilised, dora)), tensors);
    try (SafeTensors written = SafeTensors.open(directory.resolve("model.safetensors"))) {
      for (String name : tensors.keySet()) {
        float[] expected = tensors.get(name).values();
        for (LowRank update : List.of(plain, stabilised, dora)) {
          if (name.equals(update.path() + ".weight")) {
            expected = reference(expected, update);
          }
        }
        if (expected == tensors.get(name).values()) {
          assertArrayEquals(expected, written.floats("bert." + name), name);
        } else {
          assertNear(expected, written.floats("bert." + name), 5, name);
        }
      }
    }
    JsonNode config = new ObjectMapper().readTree(directory.resolve("config.json").toFile());
    assertEquals("bert", config.get("model_type").asText());
    assertEquals("c", config.at("/id2label/2").asText());
    assertEquals(2, config.at("/label2id/c").asInt());
    assertEquals("single_label_classification", config.get("problem_type").asText());
    String name = "MeanPooledBertForSequenceClassification";
    assertEquals(name, config.at("/architectures/0").asText());
    assertEquals(
        "modeling_mean_pooled." + name,
        config.at("/auto_map/AutoModelForSequenceClassification").asText());
    assertFalse(Files.exists(directory.resolve("head.safetensors")));
  }

  /** As the forward pass has it, whose output for such a row is 0. */
  @Test
  void aRowOfZerosOfDoraStaysOne() throws IOException {
    Map<String, SafeTensors.Tensor> tensors =
        RandomCheckpoint.tensors(SmallBert.CONFIG, TestSeed.random());
    LowRank lora = Parts.lora(2, "attention.self.key", 2, 7);
    float[] magnitude = Parts.random(24).values();
    magnitude[5] = 0;
    for (int row : new int[] {3, 5}) {
      Arrays.fill(lora.b().values(), row * 2, row * 2 + 2, 0);
      float[] weight = tensors.get(lora.path() + ".weight").values();
      Arrays.fill(weight, row * 24, row * 24 + 24, 0);
    }
    LowRank dora =
        AdapterPartLowRankBuilder.builder(lora)
            .magnitude(new SafeTensors.Tensor(new long[] {24}, magnitude))
            .build();
    float[] expected = reference(tensors.get(lora.path() + ".weight").values(), dora);
    Arrays.fill(expected, 3 * 24, 4 * 24, 0);
    Arrays.fill(expected, 5 * 24, 6 * 24, 0);
    Path directory = write(Parts.adapter(List.of(dora)), tensors);
    try (SafeTensors written = SafeTensors.open(directory.resolve("model.safetensors"))) {
      assertNear(expected, written.floats("bert." + lora.path() + ".weight"), 2, "a weight");
    }
  }

  /** The names that the library has for the encoder, by which its weights are found. */
  @ParameterizedTest
  @EnumSource(Architecture.class)
  void theClassIsOfTheArchitecture(Architecture architecture) throws IOException {
    String name = architecture.className();
    String model = name + (architecture == Architecture.GEMMA3 ? "TextModel" : "Model");
    for (boolean pairs : List.of(false, true)) {
      SequenceClassifier classifier = SequenceClassifier.of(architecture, pairs);
      String source = classifier.source(architecture);
      String kind = pairs ? "TextPairs" : architecture.isDecoder() ? "LastToken" : "MeanPooled";
      for (String line :
          List.of(
              "import %sPreTrainedModel, %s\n".formatted(name, model),
              "class %s%sForSequenceClassification(".formatted(kind, name),
              "self.%s = %s(config)".formatted(architecture.prefix(), model),
              "def pooled(hidden, mask):\n")) {
        assertTrue(source.contains(line), line + " is not in " + source);
      }
      assertFalse(source.contains("$"), source);
    }
  }

  @Test
  void aHeadThatComparesTextsIsInTheModelToo() throws IOException {
    SafeTensors.Tensor head = Parts.random(2, 3 * 24 + 1);
    TrainedAdapter adapter =
        new TrainedAdapter(
            "some/bert",
            SmallBert.CONFIG,
            List.of(Parts.lora(0, "attention.self.query", 4, 16)),
            List.of("no", "yes"),
            head,
            Parts.random(2));
    Path directory = write(adapter, RandomCheckpoint.tensors(SmallBert.CONFIG, TestSeed.random()));
    JsonNode config = new ObjectMapper().readTree(directory.resolve("config.json").toFile());
    assertEquals(
        "modeling_text_pairs.TextPairsBertForSequenceClassification",
        config.at("/auto_map/AutoModelForSequenceClassification").asText());
    assertEquals("yes", config.at("/id2label/1").asText());
    assertTrue(Files.exists(directory.resolve("modeling_text_pairs.py")));
    assertFalse(Files.exists(directory.resolve("head.safetensors")));
    try (SafeTensors written = SafeTensors.open(directory.resolve("model.safetensors"))) {
      assertArrayEquals(head.values(), written.floats("classifier.weight"));
    }
  }

  @Test
  void aRegressionHasOneOutputAndItsLoss() throws IOException {
    TrainedAdapter adapter =
        new TrainedAdapter(
            "some/bert",
            SmallBert.CONFIG,
            List.of(Parts.lora(0, "attention.self.query", 4, 16)),
            List.of(),
            Parts.random(1, 24),
            Parts.random(1));
    Path directory = write(adapter, RandomCheckpoint.tensors(SmallBert.CONFIG, TestSeed.random()));
    JsonNode config = new ObjectMapper().readTree(directory.resolve("config.json").toFile());
    assertEquals("regression", config.get("problem_type").asText());
    assertEquals(1, config.get("num_labels").asInt());
    assertEquals("{\"0\":\"LABEL_0\"}", config.get("id2label").toString());
    assertEquals("{\"LABEL_0\":0}", config.get("label2id").toString());
  }

  private static float[] reference(float[] weight, LowRank update) {
    double scale = update.alpha() / (update.rsLora() ? Math.sqrt(update.rank()) : update.rank());
    int cols = (int) update.a().shape()[1];
    float[] merged = new float[weight.length];
    for (int i = 0; i < weight.length / cols; i++) {
      double norm = 0;
      double[] row = new double[cols];
      for (int k = 0; k < cols; k++) {
        for (int r = 0; r < update.rank(); r++) {
          row[k] +=
              (double) update.b().values()[i * update.rank() + r]
                  * update.a().values()[r * cols + k];
        }
        row[k] = weight[i * cols + k] + scale * row[k];
        norm += row[k] * row[k];
      }
      for (int k = 0; k < cols; k++) {
        double factor =
            update.magnitude() == null ? 1 : update.magnitude().values()[i] / Math.sqrt(norm);
        merged[i * cols + k] = (float) (factor * row[k]);
      }
    }
    return merged;
  }

  @Test
  void whatIsNotLinearOrDoesNotFitIsRefused() throws IOException {
    AdapterPart lora = Parts.lora(0, "attention.self.query", 4, 16);
    TrainedAdapter mixed =
        Parts.adapter(
            List.of(lora, Parts.bottleneck(1, Block.FEED_FORWARD, Bottleneck.Input.NORMED_SUM, 5)));
    String message =
        assertThrows(IllegalArgumentException.class, () -> MergedModel.require(mixed)).getMessage();
    assertTrue(message.contains("not linear"), message);
    assertTrue(message.contains("--format adapters"), message);
    Map<String, SafeTensors.Tensor> tensors =
        RandomCheckpoint.tensors(SmallBert.CONFIG, TestSeed.random());
    tensors.put("encoder.layer.0.attention.self.query.weight", Parts.random(24, 25));
    message =
        assertThrows(IOException.class, () -> write(Parts.adapter(List.of(lora)), tensors))
            .getMessage();
    assertTrue(message.contains("has shape [24, 25], the update of it [24, 24]"), message);
  }
}
