package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.checkpoint.OnnxWeights;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.ArchitecturesTest;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.OnnxOptions;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Pretrained;
import org.prunepeft.model.Projection;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfig.Style;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;

/** ONNX Runtime computes with what is written what we compute. */
class OnnxModelTest {
  private static final byte[] TOKENIZER =
      "{\"padding\":{\"direction\":\"Right\"},\"model\":{\"unk_id\":0,\"score\":-9.123456789012345}}"
          .getBytes(StandardCharsets.UTF_8);

  private static final List<String> ALL =
      Architecture.BERT.projections().stream().map(Projection::target).toList();

  @TempDir Path temporary;
  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** Modules of a kind; no configuration: none, as head-only and full fine-tuning leave it. */
  private record Kind(String name, PeftConfig config) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static LoraConfig lora() {
    return LoraConfig.of(3, 5, 0, ALL);
  }

  private static PeftConfig adapters(Activation activation, Style style) {
    return PeftConfig.of(null, AdapterConfig.of(5, activation, style));
  }

  static Stream<Kind> kinds() {
    LoraConfig dora = lora().with().rsLora(true).dora(true).perProjection(true).build();
    AdaLoraConfig ranks = new AdaLoraConfig(4, 2, 0, 0, 1, 0.85, 0.85, 0.5, 9);
    return Stream.of(
        new Kind("none", null),
        new Kind("LoRA", PeftConfig.of(lora(), null)),
        new Kind("DoRA", PeftConfig.of(dora, null)),
        new Kind("AdaLoRA", PeftConfig.of(lora().withAdaLora(ranks), null)),
        new Kind("serial", adapters(Activation.RELU, Style.PFEIFFER)),
        new Kind("Houlsby", adapters(Activation.SILU, Style.HOULSBY)),
        new Kind("parallel", adapters(Activation.GELU, Style.PARALLEL)),
        new Kind(
            "LoRA and serial",
            PeftConfig.of(lora(), AdapterConfig.of(4, Activation.IDENTITY, Style.PFEIFFER))),
        // Two updates on one projection.
        new Kind(
            "LoRA and VeRA",
            PeftConfig.of(
                lora(), null, ModuleTypes.of(List.of("vera"), Map.of("vera", Map.of("rank", 5))))));
  }

  /** Token ids, types and lengths of a batch. */
  private record Batch(long[][] ids, long[][] types, long[][] mask) {
    int rows() {
      return ids.length;
    }

    int length() {
      return ids[0].length;
    }

    EncoderInput input() {
      byte[] flat = new byte[rows() * length()];
      for (int i = 0; i < flat.length; i++) {
        flat[i] = (byte) mask[i / length()][i % length()];
      }
      return EncoderInput.of(
          Stream.of(ids).flatMapToLong(Arrays::stream).toArray(),
          Stream.of(types).flatMapToLong(Arrays::stream).toArray(),
          flat,
          rows(),
          length());
    }

    /** One row without its padding. */
    Batch alone(int row) {
      int tokens = (int) Arrays.stream(mask[row]).sum();
      return new Batch(
          new long[][] {Arrays.copyOf(ids[row], tokens)},
          new long[][] {Arrays.copyOf(types[row], tokens)},
          new long[][] {Arrays.copyOf(mask[row], tokens)});
    }
  }

  private Batch batch(EncoderConfig config) {
    int length = config.maxTokens() - random.nextInt(3);
    int[] lengths = {2 + random.nextInt(length - 2), 1, length, 2 + random.nextInt(length - 2)};
    Batch batch = new Batch(new long[4][length], new long[4][length], new long[4][length]);
    for (int row = 0; row < lengths.length; row++) {
      Arrays.fill(batch.ids[row], config.padding());
      for (int i = 0; i < lengths[row]; i++) {
        batch.ids[row][i] = random.nextInt(config.vocabulary());
        batch.types[row][i] = random.nextInt(Math.max(1, config.types()));
        batch.mask[row][i] = 1;
      }
    }
    return batch;
  }

  /** Writes a model of random weights and gives ONNX Runtime's outputs beside ours. */
  private Compared compare(
      EncoderConfig config, PeftConfig peft, int towers, OnnxOptions options, Path directory)
      throws IOException {
    Map<String, SafeTensors.Tensor> tensors = RandomCheckpoint.tensors(config, random);
    Batch[] batches = new Batch[towers];
    for (int i = 0; i < towers; i++) {
      batches[i] = batch(config);
    }
    long width = Head.width(config.hidden(), towers);
    SafeTensors.Tensor head = Parts.random(3, width);
    SafeTensors.Tensor bias = Parts.random(3);
    PeftConfig kinds = peft == null ? PeftConfig.of(lora(), null) : peft;
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape();
        Encoder encoder = new PostNormEncoder(config, new MapCheckpoint("base", tensors));
        PeftModules modules =
            new PeftModules(
                kinds, config, peft == null ? List.of() : kinds.space(config).candidates())) {
      for (FlatParameters group : modules.groups().values()) {
        group.values().normal_(0, 0.2, RandomTensors.generator());
      }
      TrainedAdapter adapter =
          new TrainedAdapter(
              "base",
              config,
              Parts.of(kinds, modules, config, path -> tensors.get(path + ".weight")),
              List.of("a", "b", "c"),
              head,
              bias);
      write(adapter, tensors, options, directory);
      modules.begin(ForwardPass.evaluation(tape));
      Outputs outputs = outputs(encoder, modules, adapter, batches);
      // What rounding may move is measured, by weights that are off as far as a sum may be.
      double share = RandomCheckpoint.share(config, batches[0].length());
      double hiddenMoved = 0;
      double logitsMoved = 0;
      for (int i = 0; i < 4; i++) {
        var others = RandomCheckpoint.perturbed(tensors, share, random);
        try (Encoder off = new PostNormEncoder(config, new MapCheckpoint("off", others))) {
          Outputs moved = outputs(off, modules, adapter, batches);
          hiddenMoved =
              Math.max(hiddenMoved, Rounding.largestDifference(outputs.hidden, moved.hidden));
          for (int row = 0; row < moved.logits.length; row++) {
            for (int k = 0; k < 3; k++) {
              double difference = Math.abs(outputs.logits[row][k] - moved.logits[row][k]);
              logitsMoved = Math.max(logitsMoved, difference);
            }
          }
        }
      }
      return new Compared(
          config, batches, outputs.hidden, outputs.logits, hiddenMoved, logitsMoved);
    }
  }

  private record Outputs(float[] hidden, double[][] logits) {}

  private static Outputs outputs(
      Encoder encoder, PeftModules modules, TrainedAdapter adapter, Batch... batches) {
    float[][] hidden = new float[batches.length][];
    float[][] pooled = new float[batches.length][];
    for (int i = 0; i < batches.length; i++) {
      var states = encoder.forward(batches[i].input(), modules);
      hidden[i] = Torch.toFloats(states);
      pooled[i] = Torch.toFloats(Pooling.MEAN.of(states, batches[i].input()));
    }
    return new Outputs(hidden[0], logits(features(pooled, encoder.config()), adapter));
  }

  /**
   * @param hidden of the first batch, [B·T,hidden]
   * @param logits [B][3]
   * @param hiddenMoved how far rounding may move a hidden state
   * @param logitsMoved the same of a logit
   */
  private record Compared(
      EncoderConfig config,
      Batch[] batches,
      float[] hidden,
      double[][] logits,
      double hiddenMoved,
      double logitsMoved) {
    void assertNear(int row, float[] actual, String what) {
      // ONNX Runtime sums up a logit over the features in float32 too.
      double share = Rounding.gamma(Head.width(config.hidden(), batches.length), Rounding.FLOAT32);
      double largest = Arrays.stream(logits[row]).map(Math::abs).max().orElse(0);
      Rounding.assertNear(logits[row], actual, 2 * logitsMoved + share * largest, what);
    }
  }

  /** By the formula of the head's documentation, in float64. */
  private static double[][] features(float[][] pooled, EncoderConfig config) {
    int hidden = config.hidden();
    double[][] features = new double[pooled[0].length / hidden][];
    for (int row = 0; row < features.length; row++) {
      double[] own = new double[pooled.length == 1 ? hidden : 3 * hidden + 1];
      double product = 0;
      double first = 0;
      double second = 0;
      for (int k = 0; k < hidden; k++) {
        double u = pooled[0][row * hidden + k];
        own[k] = u;
        if (pooled.length == 2) {
          double v = pooled[1][row * hidden + k];
          own[hidden + k] = v;
          own[2 * hidden + k] = Math.abs(u - v);
          product += u * v;
          first += u * u;
          second += v * v;
        }
      }
      if (pooled.length == 2) {
        own[3 * hidden] = product / Math.sqrt(first * second);
      }
      features[row] = own;
    }
    return features;
  }

  private static double[][] logits(double[][] features, TrainedAdapter adapter) {
    float[] weight = adapter.headWeight().values();
    double[][] logits = new double[features.length][3];
    for (int row = 0; row < logits.length; row++) {
      for (int label = 0; label < 3; label++) {
        logits[row][label] = adapter.headBias().values()[label];
        for (int k = 0; k < features[row].length; k++) {
          logits[row][label] += features[row][k] * weight[label * features[row].length + k];
        }
      }
    }
    return logits;
  }

  private static void write(
      TrainedAdapter adapter,
      Map<String, SafeTensors.Tensor> base,
      OnnxOptions options,
      Path directory)
      throws IOException {
    RunDirectory target = RunDirectory.create(directory);
    try (Pretrained model =
        new Pretrained(adapter.encoder(), TOKENIZER, new MapCheckpoint("base", base))) {
      OnnxModel.write(adapter, model, 77, options, target);
    }
    target.complete();
  }

  private static float[][] run(OnnxSession session, Batch... batches) {
    for (int i = 0; i < batches.length; i++) {
      String suffix = i == 0 ? "" : "_" + (i + 1);
      session
          .input("input_ids" + suffix, batches[i].ids)
          .input("attention_mask" + suffix, batches[i].mask)
          .input("token_type_ids" + suffix, batches[i].types);
    }
    return session.run("logits");
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void onnxRuntimeGivesOurLogits(Kind kind) throws IOException {
    int number = 0;
    for (EncoderConfig config : ArchitecturesTest.configurations().toList()) {
      Path directory = temporary.resolve("" + number++);
      Compared ours = compare(config, kind.config, 1, OnnxOptions.DEFAULT, directory);
      try (OnnxSession session = OnnxSession.open(directory.resolve("model.onnx"))) {
        float[][] together = run(session, ours.batches);
        for (int row = 0; row < together.length; row++) {
          ours.assertNear(row, together[row], config + ", row " + row);
        }
        float[][] alone = run(session, ours.batches[0].alone(0));
        ours.assertNear(0, alone[0], config + " without padding");
      }
    }
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void aHeadThatComparesTwoTextsTakesTwoSetsOfInputs(EncoderConfig config) throws IOException {
    Path directory = temporary.resolve("pairs");
    PeftConfig peft = PeftConfig.of(lora(), AdapterConfig.of(4, Activation.RELU));
    Compared ours = compare(config, peft, 2, OnnxOptions.DEFAULT, directory);
    try (OnnxSession session = OnnxSession.open(directory.resolve("model.onnx"))) {
      float[][] theirs = run(session, ours.batches);
      for (int row = 0; row < theirs.length; row++) {
        ours.assertNear(row, theirs[row], "row " + row);
      }
      // The second text may have another length.
      float[][] alone = run(session, ours.batches[0].alone(0), ours.batches[1].alone(0));
      ours.assertNear(0, alone[0], "without padding");
    }
  }

  @Test
  void theEncoderAloneGivesItsLastHiddenStates() throws IOException {
    Path directory = temporary.resolve("encoder");
    OnnxOptions options = OnnxOptions.DEFAULT.withEncoderOnly(true);
    Compared ours = compare(SmallBert.CONFIG, null, 1, options, directory);
    Batch batch = ours.batches[0];
    try (OnnxSession session = OnnxSession.open(directory.resolve("model.onnx"))) {
      float[][][] theirs =
          session
              .input("input_ids", batch.ids)
              .input("attention_mask", batch.mask)
              .input("token_type_ids", batch.types)
              .run("last_hidden_state");
      for (int i = 0; i < batch.rows() * batch.length(); i++) {
        for (int k = 0; k < SmallBert.CONFIG.hidden(); k++) {
          if (batch.mask[i / batch.length()][i % batch.length()] == 1) {
            Rounding.assertNear(
                ours.hidden[i * SmallBert.CONFIG.hidden() + k],
                theirs[i / batch.length()][i % batch.length()][k],
                2 * ours.hiddenMoved,
                "token " + i);
          }
        }
      }
    }
    assertTrue(HeadFile.isIn(directory));
  }

  @Test
  void weightsInAFileOfTheirOwnGiveTheSame() throws IOException {
    Map<String, SafeTensors.Tensor> base = RandomCheckpoint.tensors(SmallBert.CONFIG, random);
    TrainedAdapter adapter = Parts.adapter(SmallBert.CONFIG, List.of());
    Batch batch = batch(SmallBert.CONFIG);
    float[][][] outputs = new float[2][][];
    for (boolean external : new boolean[] {false, true}) {
      Path directory = temporary.resolve("external-" + external);
      write(adapter, base, OnnxOptions.DEFAULT.withExternalData(external), directory);
      assertEquals(external, Files.exists(directory.resolve("model.onnx_data")));
      try (OnnxSession session = OnnxSession.open(directory.resolve("model.onnx"))) {
        outputs[external ? 1 : 0] = run(session, batch);
      }
    }
    for (int row = 0; row < batch.rows(); row++) {
      assertArrayEquals(outputs[0][row], outputs[1][row]);
    }
    long whole = Files.size(temporary.resolve("external-false/model.onnx"));
    assertTrue(Files.size(temporary.resolve("external-true/model.onnx")) < whole / 3);
  }

  /**
   * In 8 bits an input of a linear is off by some 0.9 % of its standard deviation (its range is
   * some 8 of them, by 255 steps of which it is off by 1/√12), a weight by 0.7 % (6 by 254). A
   * layer rounds four times on the way from its input to its output, and normalises, so that errors
   * of layers add up as random ones do: of a model of three layers 1.2 % · √12, 4 %, of what
   * differs between its hidden states, which has the size of the hidden states themselves. The
   * bound is four times that.
   */
  @ParameterizedTest
  @MethodSource("org.prunepeft.model.ArchitecturesTest#configurations")
  void inEightBitsLogitsAreNearby(EncoderConfig config) throws IOException {
    Path directory = temporary.resolve("int8");
    PeftConfig peft = PeftConfig.of(lora(), AdapterConfig.of(4, Activation.RELU));
    Compared ours = compare(config, peft, 1, OnnxOptions.DEFAULT.withInt8(true), directory);
    try (OnnxSession session = OnnxSession.open(directory.resolve("model.onnx"))) {
      float[][] theirs = run(session, ours.batches);
      double error = 0;
      double size = 0;
      for (int row = 0; row < theirs.length; row++) {
        for (int k = 0; k < theirs[row].length; k++) {
          error += Math.pow(theirs[row][k] - ours.logits[row][k], 2);
          size += Math.pow(ours.logits[row][k], 2);
        }
      }
      double share = Math.sqrt(error / size);
      assertTrue(share > 1e-4, "nothing was rounded: " + share);
      assertTrue(share < 0.16, "off by " + share);
    }
  }

  @Test
  void anotherReaderFindsTheMergedWeightsByTheirNames() throws IOException {
    EncoderConfig config = SmallBert.CONFIG;
    Map<String, SafeTensors.Tensor> base = RandomCheckpoint.tensors(config, random);
    TrainedAdapter adapter =
        Parts.adapter(config, List.of(Parts.lora(config, Projection.INTERMEDIATE)));
    Path directory = temporary.resolve("named");
    write(adapter, base, OnnxOptions.DEFAULT, directory);
    Checkpoint merged = MergedCheckpoint.of(new MapCheckpoint("base", base), adapter.lowRank());
    try (InputStream in = Files.newInputStream(directory.resolve("model.onnx"));
        Checkpoint read = OnnxWeights.read(in, "model.onnx")) {
      for (String name : merged.names()) {
        assertArrayEquals(merged.shape(name), read.shape(name), name);
        assertArrayEquals(merged.floats(name), read.floats(name), name);
      }
    }
  }

  @Test
  void theDirectorySaysWhatReadersAskFor() throws IOException {
    Map<String, SafeTensors.Tensor> base = RandomCheckpoint.tensors(SmallBert.CONFIG, random);
    Path directory = temporary.resolve("described");
    write(Parts.adapter(SmallBert.CONFIG, List.of()), base, OnnxOptions.DEFAULT, directory);
    JsonNode config = json(directory, "config.json");
    assertEquals("bert", config.get("model_type").asText());
    assertEquals("yes", config.at("/id2label/1").asText());
    assertEquals(1, config.at("/label2id/yes").asInt());
    assertEquals("single_label_classification", config.get("problem_type").asText());
    JsonNode tokenizer = json(directory, "tokenizer.json");
    assertEquals(77, tokenizer.at("/truncation/max_length").asInt());
    assertTrue(tokenizer.get("padding").isNull());
    assertTrue(
        Files.readString(directory.resolve("tokenizer.json")).contains("-9.123456789012345"));
    assertEquals(77, json(directory, "tokenizer_config.json").get("model_max_length").asInt());
  }

  @Test
  void aRegressionIsOneNumberAndSaysSo() throws IOException {
    Map<String, SafeTensors.Tensor> base = RandomCheckpoint.tensors(SmallBert.CONFIG, random);
    TrainedAdapter regression =
        new TrainedAdapter(
            "base",
            SmallBert.CONFIG,
            List.of(),
            List.of(),
            Parts.random(1, SmallBert.CONFIG.hidden()),
            Parts.random(1));
    Path directory = temporary.resolve("regression");
    write(regression, base, OnnxOptions.DEFAULT, directory);
    JsonNode config = json(directory, "config.json");
    assertEquals("regression", config.get("problem_type").asText());
    assertEquals(1, config.get("id2label").size());
    try (OnnxSession session = OnnxSession.open(directory.resolve("model.onnx"))) {
      float[][] theirs = run(session, batch(SmallBert.CONFIG));
      assertEquals(4, theirs.length);
      assertEquals(1, theirs[0].length);
    }
  }

  private static JsonNode json(Path directory, String name) throws IOException {
    return new ObjectMapper().readTree(directory.resolve(name).toFile());
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void weightsThatAreNoNumbersAreRefused(boolean int8) {
    Map<String, SafeTensors.Tensor> base = RandomCheckpoint.tensors(SmallBert.CONFIG, random);
    for (String name :
        List.of("embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.weight")) {
      float[] values = base.get(name).values();
      float before = values[7];
      values[7] = Float.NaN;
      Path directory = temporary.resolve(name);
      String message =
          assertThrows(
                  IOException.class,
                  () ->
                      write(
                          Parts.adapter(SmallBert.CONFIG, List.of()),
                          base,
                          OnnxOptions.DEFAULT.withInt8(int8),
                          directory))
              .getMessage();
      assertTrue(message.contains(name) && message.contains("NaN as value 7"), message);
      assertTrue(Files.notExists(directory.resolve("model.onnx")));
      values[7] = before;
    }
  }
}
