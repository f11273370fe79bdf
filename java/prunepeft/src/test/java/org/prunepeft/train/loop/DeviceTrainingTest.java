package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.ArchitecturesTest;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.AdapterConfig.Style;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Trainings with recorded passes, of each architecture and kind of module: on the first GPU,
 * against the CPU, if there is one; else on the CPU, with the work itself in place of recorded
 * kernels. So a number that a recording must not keep is found in either.
 */
@FixedSeed("the same work, recorded or not: its bits are compared, whatever they are")
@DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
class DeviceTrainingTest extends TrainingTest {
  private static final int EPOCHS = 4;

  /** 16 positions give lengths of 6, 12 and 18. */
  private static final int MULTIPLE = 6;

  /** Between the losses on a GPU and those on the CPU; there sums have another order. */
  private static final double FLOAT32_DIFFERENCE = 5e-3;

  private static final double BF16_DIFFERENCE = 1e-1;

  private static final LoraConfig LORA = LoraConfig.of(3, 5, 0.1, List.of("query", "value"));

  private static ComputeDevice device;

  private final Random random = TestSeed.random();
  private final long weights = random.nextLong();
  private final long examples = random.nextLong();

  /** What is trained. */
  private enum Kind {
    LORA_AND_ADAPTERS(LORA, Style.PFEIFFER),
    /** Adapters on outputs, and LoRA without dropout. */
    HOULSBY(LoraConfig.of(3, 5, 0, List.of("key", "output.dense")), Style.HOULSBY),
    /** Its weights are scaled. */
    PARALLEL(null, Style.PARALLEL),
    DORA(
        LoraConfig.of(3, 5, 0.1, List.of("key", "value"))
            .with()
            .dora(true)
            .perProjection(true)
            .build(),
        null),
    /** With its penalty, and choices from step to step. */
    ADALORA(LORA.withAdaLora(new AdaLoraConfig(4, 2, 3, 4, 2, 0.85, 0.85, 0.5, 0)), null);

    private final PeftConfig config;

    Kind(LoraConfig lora, Style style) {
      config =
          PeftConfig.of(lora, style == null ? null : AdapterConfig.of(7, Activation.GELU, style));
    }
  }

  private record Case(
      EncoderConfig encoder,
      Precision precision,
      Kind kind,
      Schema schema,
      double smoothing,
      int accumulation) {
    Case(EncoderConfig encoder, Precision precision, Kind kind) {
      this(encoder, precision, kind, SmallTask.SCHEMA, 0, 1);
    }
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    List<EncoderConfig> encoders = ArchitecturesTest.configurations().toList();
    encoders.forEach(e -> cases.add(new Case(e, Precision.FLOAT32, Kind.LORA_AND_ADAPTERS)));
    // Heads of 32, which a GPU's own attention kernels take.
    EncoderConfig aligned = EncoderConfig.bert(2, 64, 2, 96, 53, 34);
    for (Precision precision : Precision.values()) {
      for (Kind kind : Kind.values()) {
        cases.add(new Case(aligned, precision, kind));
      }
    }
    // Convolution and shared projections of positions in bfloat16, with gains.
    cases.add(new Case(encoders.get(8), Precision.BF16, Kind.DORA));
    cases.add(
        new Case(aligned, Precision.FLOAT32, Kind.LORA_AND_ADAPTERS, SmallTask.SCHEMA, 0.1, 2));
    cases.add(
        new Case(aligned, Precision.FLOAT32, Kind.LORA_AND_ADAPTERS, Schema.regression(), 0, 1));
    return cases.stream();
  }

  @BeforeAll
  static void chooseDevice() {
    device = ComputeDevice.parse("auto");
  }

  /** The losses of a training's steps; the same weights, examples and masks each time. */
  private List<Double> losses(Case one, ComputeDevice place, WatchedRecorder recorder)
      throws IOException {
    EncoderConfig config = one.encoder;
    MapCheckpoint checkpoint =
        new MapCheckpoint("random", RandomCheckpoint.tensors(config, new Random(weights)));
    Encoder encoder = keep(new PostNormEncoder(config, checkpoint, one.precision, place));
    PeftConfig peft = one.kind.config;
    PeftModules modules =
        keep(new PeftModules(peft, config, peft.space(config).candidates(), place));
    modules.initialise(1, "test");
    EncodedDataset data = SmallTask.draw(21, examples);
    Head head = keep(new Head(one.schema, config.hidden(), place));
    head.standardise(data.targets());
    TrainingSettings settings =
        TrainingSettings.builder()
            .batchSize(4)
            .gradientAccumulationSteps(one.accumulation)
            .labelSmoothing(one.smoothing)
            .maxGradNorm(1)
            .build();
    Trainer trainer =
        keep(
            new Trainer(
                encoder,
                settings,
                null,
                Checkpoints.NONE,
                new GradientPasses.Mode(recorder, MULTIPLE, 4, 0)));
    List<Double> losses = new ArrayList<>();
    trainer.train(
        new TrainingRun(modules, head, data, EPOCHS, 2, null),
        new StepListener() {
          @Override
          public void step(int step, int of, double loss, double rate) {
            losses.add(loss);
          }

          @Override
          public void epoch(int epoch, int of, double loss, Evaluation validation) {
            if (recorder != null) {
              recorder.over = epoch == of;
            }
          }
        });
    return losses;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void recordedTrainingsAreThoseOfTheCpu(Case one) throws IOException {
    List<Double> expected = losses(one, ComputeDevice.CPU, null);
    WatchedRecorder recorder =
        new WatchedRecorder(RecordedWork.recorder(device).orElseGet(RecorderStandIn::new));
    List<Double> recorded = losses(one, device, recorder);
    assertTrue(recorder.launches > 0, "nothing was launched");
    assertEquals(List.of(), recorder.failures);
    if (!device.isCuda()) {
      assertEquals(expected, recorded);
      return;
    }
    double difference = one.precision == Precision.FLOAT32 ? FLOAT32_DIFFERENCE : BF16_DIFFERENCE;
    assertNear(expected, recorded, difference);
    assertNear(losses(one, device, null), recorded, difference);
  }

  private static void assertNear(List<Double> expected, List<Double> actual, double difference) {
    assertEquals(expected.size(), actual.size());
    for (int i = 0; i < expected.size(); i++) {
      double most = difference * Math.max(expected.get(i), 0.1);
      assertEquals(expected.get(i), actual.get(i), most, "loss of step " + (i + 1));
    }
  }
}
