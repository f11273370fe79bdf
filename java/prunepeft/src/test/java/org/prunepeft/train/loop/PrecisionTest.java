package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.Isa;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Precision;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.pass.TrainingRun;

/** The same encoder in float32 and in bfloat16. */
class PrecisionTest extends TrainingTest {
  /** Roundings beside each other: of a linear's weights, its input and its output. */
  private static final int FORWARD = 3;

  /** The same, and of the gradients of its output and of its input. */
  private static final int BACKWARD = 5;

  private static final PeftConfig CONFIG = loraAndAdapters(3, 0.1);

  /** Its gradients have no jumps, as ReLU's have where an input has another sign when rounded. */
  private static final PeftConfig SMOOTH = loraAndAdapters(3, 0.1, Activation.GELU);

  private final EncodedDataset data = SmallTask.draw(EMULATED ? 12 : 40, TestSeed.draw());
  private final long weights = TestSeed.draw();

  /** Of the modules' weights, of batches and dropout. */
  private final long seed = TestSeed.draw();

  private Encoder exact;
  private Encoder rounded;

  @BeforeEach
  void makeEncoders() {
    exact = keep(SmallBert.create(weights, Precision.FLOAT32));
    rounded = keep(SmallBert.create(weights, Precision.BF16));
  }

  /** The same weights each time, none of them 0. */
  private TrainingRun run(List<Candidate> candidates, int epochs) {
    return run(CONFIG, candidates, epochs);
  }

  private TrainingRun run(PeftConfig config, List<Candidate> candidates, int epochs) {
    TrainingRun run =
        new TrainingRun(modules(config, candidates), head(), data, epochs, seed, null);
    fill(parameters(run).values(), new Random(seed));
    return run;
  }

  private static List<Candidate> all() {
    return candidates(CONFIG);
  }

  private Trainer trainer(Encoder encoder, int cacheMegabytes) {
    return keep(
        new Trainer(
            encoder,
            TrainingSettings.builder()
                .batchSize(8)
                .activationCacheMegabytes(cacheMegabytes)
                .build()));
  }

  private List<Double> losses(Encoder encoder, List<Candidate> candidates, int epochs, int cache) {
    List<Double> losses = new ArrayList<>();
    trainer(encoder, cache)
        .train(
            run(candidates, epochs),
            new StepListener() {
              @Override
              public void epoch(int epoch, int of, double trainLoss, Evaluation evaluation) {
                losses.add(trainLoss);
              }
            });
    return losses;
  }

  private float[] pooled(Encoder encoder, Batch batch) {
    try (Tape tape = new Tape();
        NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      EncoderInput input =
          EncoderInput.of(batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
      PeftModules modules = run(all(), 1).modules();
      modules.begin(ForwardPass.evaluation(tape));
      Tensor hidden = encoder.forward(input, modules);
      assertEquals(encoder.precision().type(), hidden.scalar_type().intern());
      return Torch.toFloats(Pooling.MEAN.of(hidden, input));
    }
  }

  /**
   * How far bfloat16 moves results, by their norm: it is measured, in float32 with weights that are
   * each off by a rounding.
   */
  private double moved(float[] expected, Function<Encoder, float[]> results) {
    Random random = TestSeed.random();
    return Rounding.moved(
        expected,
        () -> results.apply(keep(SmallBert.rounded(weights, Rounding.BFLOAT16, random))),
        Rounding::distance);
  }

  @Test
  void hiddenStatesAreBfloat16AndCloseToThoseOfFloat32() {
    Batch batch = new Batches(data, 16).shuffled(seed, 1).iterator().next();
    List<float[]> states = List.of(pooled(exact, batch), pooled(rounded, batch));
    double limit = FORWARD * moved(states.get(0), own -> pooled(own, batch));
    double error = Rounding.distance(states.get(0), states.get(1));
    assertTrue(error > share(data.tokens()) * Rounding.norm(states.get(0)), "off by " + error);
    Rounding.assertAtMost(limit, error, "pooled states");
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "adapter"})
  void gradientsAreFloat32AndCloseToThoseOfFloat32(String type) {
    Batch batch = new Batches(data, data.size()).shuffled(seed, 1).iterator().next();
    Function<Encoder, float[]> gradients =
        encoder -> {
          TrainingRun run = run(SMOOTH, candidates(SMOOTH), 1);
          SingleStep.loss(trainer(encoder, 0), run, batch);
          Tensor own = run.modules().groups().get(type).gradients();
          assertEquals(torch.ScalarType.Float, own.scalar_type().intern());
          return Torch.toFloats(own);
        };
    float[] expected = gradients.apply(exact);
    double error = Rounding.distance(expected, gradients.apply(rounded));
    Rounding.assertAtMost(BACKWARD * moved(expected, gradients), error, "gradients of " + type);
  }

  @Test
  void theLossIsCloseToThatOfFloat32() {
    Batch batch = new Batches(data, data.size()).shuffled(seed, 1).iterator().next();
    Function<Encoder, float[]> loss =
        encoder -> new float[] {(float) SingleStep.loss(trainer(encoder, 0), run(all(), 1), batch)};
    float[] expected = loss.apply(exact);
    // A loss may be moved little by chance: its logits are rounded, each, at least once.
    double limit = FORWARD * moved(expected, loss) + Rounding.BFLOAT16 * expected[0];
    Rounding.assertNear(expected, loss.apply(rounded), limit, "loss");
  }

  @Test
  @FixedSeed("how far a training gets differs from draw to draw")
  void trainingReachesTheSameLoss() {
    List<Double> expected = losses(exact, all(), 4, 0);
    List<Double> seen = losses(rounded, all(), 4, 0);
    assertTrue(expected.get(3) < expected.get(0), expected.toString());
    for (int i = 0; i < expected.size(); i++) {
      assertEquals(expected.get(i), seen.get(i), 0.05 * expected.get(i), "epoch " + (i + 1));
    }
  }

  @Test
  void trainingRepeatsItsBits() {
    assertEquals(losses(rounded, all(), 2, 0), losses(rounded, all(), 2, 0));
  }

  @Test
  void keptOutputsOfLowerLayersAreTheSameBits() {
    List<Candidate> upper = all().stream().filter(c -> c.layer() == 2).toList();
    assertEquals(losses(rounded, upper, 3, 0), losses(rounded, upper, 3, 64));
  }

  /** Those of the CPU. */
  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void eachInstructionSetComputesIt() {
    Isa widest = Kernels.supportedIsa();
    List<float[]> pooled = new ArrayList<>();
    try {
      for (Isa isa : Isa.values()) {
        if (isa.compareTo(widest) <= 0) {
          Kernels.setIsa(isa);
          pooled.add(
              trainer(rounded, 0).predictor().features(run(all(), 1).modules(), data, done -> {}));
        }
      }
    } finally {
      Kernels.setIsa(widest);
    }
    float[] inFloat32 =
        trainer(exact, 0).predictor().features(run(all(), 1).modules(), data, done -> {});
    double limit =
        FORWARD
            * moved(
                inFloat32,
                own ->
                    trainer(own, 0)
                        .predictor()
                        .features(run(all(), 1).modules(), data, done -> {}));
    for (float[] other : pooled) {
      double error = Rounding.distance(pooled.get(0), other);
      Rounding.assertAtMost(limit, error, "pooled states of an instruction set");
    }
    assertArrayEquals(
        pooled.get(pooled.size() - 1),
        trainer(rounded, 0).predictor().features(run(all(), 1).modules(), data, done -> {}));
  }
}
