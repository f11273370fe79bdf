package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.DType;
import org.prunepeft.model.CausalDecoder;
import org.prunepeft.model.DecoderFamilies;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfig.Style;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.ModuleTypes;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.ProcessPeak;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.CriterionSettings;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.Inputs;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

/** What is computed again in the backward pass has the bits of what was kept. */
class GradientCheckpointingTest extends TrainingTest {
  private static final int LONGEST = 9;

  private final long seed = TestSeed.draw();

  /** What may sit in a layer. */
  private enum Kind {
    LORA_AND_ADAPTERS,
    DORA,
    ADALORA,
    HOULSBY,
    PARALLEL,
    VERA;

    PeftConfig on(EncoderConfig encoder) {
      List<String> targets = encoder.projections().stream().map(Projection::target).toList();
      LoraConfig lora = LoraConfig.of(3, 5, 0.2, targets);
      return switch (this) {
        case LORA_AND_ADAPTERS -> PeftConfig.of(lora, AdapterConfig.of(7, Activation.RELU));
        case DORA -> PeftConfig.of(lora.with().dora(true).build(), null);
        case ADALORA ->
            PeftConfig.of(
                lora.withAdaLora(new AdaLoraConfig(4, 2, 0, 0, 2, 0.85, 0.85, 0.5, 0)), null);
        case HOULSBY -> PeftConfig.of(null, AdapterConfig.of(7, Activation.GELU, Style.HOULSBY));
        case PARALLEL -> PeftConfig.of(null, AdapterConfig.of(7, Activation.GELU, Style.PARALLEL));
        case VERA ->
            PeftConfig.of(
                null,
                null,
                ModuleTypes.of(
                    List.of("vera"), Map.of("vera", Map.of("targets", targets, "rank", 5))));
      };
    }
  }

  /** Bits, all of them. */
  private record Outcome(Map<String, float[]> weights, Object observation) {
    void assertSameAs(Outcome other) {
      TrainingTest.assertSame(weights, other.weights);
      assertEquals(observation, other.observation);
    }
  }

  static Stream<Family> families() {
    return DecoderFamilies.all();
  }

  private static EncodedDataset texts(Random random, int count) {
    List<Encoding> texts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int length = 2 + random.nextInt(LONGEST - 1);
      boolean[] trained = new boolean[length];
      for (int t = random.nextInt(length - 1) + 1; t < length; t++) {
        trained[t] = true;
      }
      int[] ids = random.ints(length, 0, DecoderFamilies.VOCABULARY).toArray();
      texts.add(Encoding.labelled(ids, trained));
    }
    return EncodedDataset.labelled(texts).packed(2 * LONGEST);
  }

  private static TrainingSettings settings(boolean checkpointing) {
    return TrainingSettings.builder()
        .batchSize(3)
        .gradientAccumulationSteps(2)
        .loraLearningRate(1e-2)
        .adapterLearningRate(1e-2)
        .gradientCheckpointing(checkpointing)
        .build();
  }

  private PeftModules modules(PeftConfig config, EncoderConfig encoder) {
    PeftModules modules =
        keep(new PeftModules(config, encoder, config.space(encoder).candidates()));
    fill(modules.groups().values(), new Random(seed));
    return modules;
  }

  private Outcome trained(
      Encoder encoder, TaskHead head, PeftConfig config, EncodedDataset data, boolean observed) {
    return trained(encoder, head, config, data, observed, false);
  }

  private Outcome trained(
      Encoder encoder,
      TaskHead head,
      PeftConfig config,
      EncodedDataset data,
      boolean observed,
      boolean checkpointing) {
    PeftModules modules = modules(config, encoder.config());
    TrainingRun run = new TrainingRun(modules, head, data, 2, seed, null);
    if (observed) {
      run = run.whoseModulesAreJudged();
    }
    Trainer trainer = keep(new Trainer(encoder, settings(checkpointing)));
    if (!observed) {
      trainer.train(run, StepListener.NONE);
      return new Outcome(values(modules), null);
    }
    CriterionSettings criteria = new CriterionSettings(DType.FLOAT16, 0.1, null, 7);
    try (RoundStatistics statistics =
        new RoundStatistics(modules, criteria, trainer.steps(run), run.epochs())) {
      trainer.train(run, StepListener.NONE, statistics);
      return new Outcome(values(modules), statistics.observe());
    }
  }

  private static Map<String, float[]> values(PeftModules modules) {
    Map<String, float[]> values = new LinkedHashMap<>();
    modules
        .groups()
        .forEach((kind, group) -> values.put(kind, Torch.toFloats(group.values().detach())));
    return values;
  }

  @ParameterizedTest
  @EnumSource
  void aDecoderIsTrainedToTheSameBits(Kind kind) {
    Random random = new Random(seed);
    List<Family> families = families().toList();
    Family family = families.get(random.nextInt(families.size()));
    CausalDecoder decoder = keep(family.decoder(family.tensors(random)));
    LanguageModelHead head = keep(LanguageModelHead.of(decoder));
    EncodedDataset data = texts(random, 31);
    PeftConfig config = kind.on(decoder.config());
    boolean observed = kind != Kind.ADALORA;
    trained(decoder, head, config, data, observed, true)
        .assertSameAs(trained(decoder, head, config, data, observed));
  }

  @ParameterizedTest
  @EnumSource
  void anEncoderIsTrainedToTheSameBits(Kind kind) {
    Encoder encoder = keep(SmallBert.create());
    EncodedDataset data = SmallTask.draw(21, TestSeed.draw());
    PeftConfig config = kind.on(encoder.config());
    boolean observed = kind != Kind.ADALORA;
    trained(encoder, head(), config, data, observed, true)
        .assertSameAs(trained(encoder, head(), config, data, observed));
  }

  @ParameterizedTest
  @EnumSource
  void anEncoderKeepsNoOperationsOfItsLayers(Kind kind) {
    Encoder encoder = keep(SmallBert.create());
    int layers = encoder.config().layers();
    PeftModules modules = modules(kind.on(encoder.config()), encoder.config());
    EncodedDataset data = SmallTask.draw(7, TestSeed.draw());
    Batch batch = Batch.of(data, IntStream.range(0, data.size()).toArray());
    for (boolean checkpointing : new boolean[] {false, true}) {
      try (Tape tape = new Tape(checkpointing);
          PointerScope scope = new PointerScope()) {
        modules.begin(new ForwardPass(tape, new ForwardPass.Masks(seed, 3, 0, null), null));
        encoder.forward(Inputs.of(encoder.device(), batch), modules);
        assertTrue(
            checkpointing ? tape.size() <= layers : tape.size() > layers,
            () -> tape.size() + " operations of " + layers + " layers");
      }
    }
  }

  @Test
  void trainingsInStepEndInTheSameBits() {
    Encoder encoder = keep(SmallBert.create());
    EncodedDataset data = SmallTask.draw(21, TestSeed.draw());
    PeftConfig config = Kind.LORA_AND_ADAPTERS.on(encoder.config());
    List<List<Map<String, float[]>>> results = new ArrayList<>();
    for (boolean checkpointing : new boolean[] {false, true}) {
      List<TrainingRun> runs =
          Stream.of(seed, seed + 1)
              .map(
                  own ->
                      new TrainingRun(
                          modules(config, encoder.config()), head(), data, 2, own, null))
              .toList();
      keep(new Trainer(encoder, settings(checkpointing)))
          .train(
              runs.stream()
                  .map(run -> new Trainer.Request(run, StepListener.NONE, null, Checkpoints.NONE))
                  .toList())
          .forEach(Trainer.Outcome::get);
      results.add(runs.stream().map(TrainingTest::weights).toList());
    }
    for (int i = 0; i < 2; i++) {
      assertSame(results.get(0).get(i), results.get(1).get(i));
    }
  }

  @ParameterizedTest
  @MethodSource("families")
  void allWeightsOfADecoderHaveTheSameGradients(Family family) {
    Random random = new Random(seed);
    CausalDecoder decoder = keep(family.decoder(family.tensors(random)));
    LanguageModelHead head = keep(LanguageModelHead.of(decoder));
    PeftConfig config = Kind.LORA_AND_ADAPTERS.on(decoder.config());
    EncodedDataset data = texts(random, 7);
    Batch batch = Batch.of(data, IntStream.range(0, data.size()).toArray());
    try (FlatParameters own = keep(decoder.trainable())) {
      List<Map<String, float[]>> gradients = new ArrayList<>();
      for (boolean checkpointing : new boolean[] {false, true}) {
        PeftModules modules = modules(config, decoder.config());
        try (Tape tape = new Tape(checkpointing);
            PointerScope scope = new PointerScope()) {
          modules.begin(new ForwardPass(tape, new ForwardPass.Masks(seed, 3, 0, null), null));
          Tensor hidden = decoder.forward(Inputs.of(decoder.device(), batch), modules);
          int layers = decoder.config().layers();
          assertTrue(
              checkpointing ? tape.size() <= layers + 1 : tape.size() >= 3 * layers,
              () -> tape.size() + " operations of " + layers + " layers");
          head.loss(tape, hidden, head.targets(batch), 1, 0).backward();
          gradients.add(gradients(modules, own));
        }
      }
      assertSame(gradients.get(0), gradients.get(1));
    }
  }

  private static Map<String, float[]> gradients(PeftModules modules, FlatParameters own) {
    Map<String, float[]> gradients = new LinkedHashMap<>();
    List<FlatParameters> groups = new ArrayList<>(modules.groups().values());
    groups.add(own);
    for (FlatParameters group : groups) {
      group.names().forEach(name -> gradients.put(name, Torch.toFloats(group.gradient(name))));
      group.clearGradients();
    }
    return gradients;
  }

  /** What a training of this many layers and tokens keeps otherwise, in floats of a layer's row. */
  private static final int LAYERS = 12;

  private static final int HIDDEN = 64;
  private static final int ROWS = 8 * 256;

  @Test
  @FixedSeed("memory does not depend on the numbers")
  void theLayersAreNotInMemoryAtOnce() throws IOException, InterruptedException {
    long kept = ProcessPeak.of(OneStep.class, "false");
    long again = ProcessPeak.of(OneStep.class, "true");
    // Query, key and value, two sums, gate and up: 13 times the width of the hidden states.
    long layers = LAYERS * 13L * HIDDEN * ROWS * Float.BYTES;
    System.out.printf(
        "peak of a step: %d MB, with gradient checkpointing %d MB; the layers' values take %d MB%n",
        kept >> 20, again >> 20, layers >> 20);
    assertTrue(kept - again > 0.6 * layers, () -> kept + " and " + again + ", of " + layers);
  }

  /** What the measured process does. */
  @FixedSeed("memory does not depend on the numbers")
  static final class OneStep {
    public static void main(String[] arguments) {
      Torch.load();
      Torch.setThreads(1);
      Family family = DecoderFamilies.llama(LAYERS, HIDDEN, 4 * HIDDEN, 4, 256);
      Random random = new Random(1);
      List<Encoding> rows = new ArrayList<>();
      boolean[] all = new boolean[256];
      java.util.Arrays.fill(all, 1, all.length, true);
      for (int i = 0; i < ROWS / 256; i++) {
        int[] ids = random.ints(256, 0, DecoderFamilies.VOCABULARY).toArray();
        rows.add(Encoding.labelled(ids, all));
      }
      EncodedDataset data = EncodedDataset.labelled(rows);
      TrainingSettings settings =
          TrainingSettings.builder()
              .gradientCheckpointing(Boolean.parseBoolean(arguments[0]))
              .build();
      try (CausalDecoder decoder = family.decoder(family.tensors(random));
          LanguageModelHead head = LanguageModelHead.of(decoder);
          PeftModules modules =
              new PeftModules(
                  loraAndAdapters(4, 0.1),
                  decoder.config(),
                  loraAndAdapters(4, 0.1).space(decoder.config()).candidates());
          Trainer trainer = new Trainer(decoder, settings)) {
        modules.initialise(1, "test");
        trainer.train(new TrainingRun(modules, head, data, 1, 1, null), StepListener.NONE);
      }
      ProcessPeak.print();
    }
  }
}
