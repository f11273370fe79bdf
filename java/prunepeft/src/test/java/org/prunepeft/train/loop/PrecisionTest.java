package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
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
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.pass.TrainingRun;

/** The same encoder in float32 and in bfloat16. */
class PrecisionTest extends TrainingTest {
  private static final long SEED = 5;
  private static final PeftConfig CONFIG = loraAndAdapters(3, 0.1);

  private final EncodedDataset data = SmallTask.draw(40, TestSeed.draw());
  private Encoder exact;
  private Encoder rounded;

  @BeforeEach
  void makeEncoders() {
    long weights = TestSeed.draw();
    exact = keep(SmallBert.create(weights, Precision.FLOAT32));
    rounded = keep(SmallBert.create(weights, Precision.BF16));
  }

  /** The same weights each time, none of them 0. */
  private TrainingRun run(List<Candidate> candidates, int epochs) {
    TrainingRun run =
        new TrainingRun(modules(CONFIG, candidates), head(), data, epochs, SEED, null);
    fill(parameters(run).values(), new Random(SEED));
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

  /** ‖a − b‖ / ‖a‖. */
  private static double distance(float[] a, float[] b) {
    double difference = 0;
    double size = 0;
    for (int i = 0; i < a.length; i++) {
      difference += (a[i] - b[i]) * (double) (a[i] - b[i]);
      size += a[i] * (double) a[i];
    }
    return Math.sqrt(difference / size);
  }

  @Test
  void hiddenStatesAreBfloat16AndCloseToThoseOfFloat32() {
    Batch batch = new Batches(data, 16).shuffled(SEED, 1).iterator().next();
    List<float[]> states = new ArrayList<>();
    try (Tape tape = new Tape();
        NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      EncoderInput input =
          EncoderInput.of(batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
      PeftModules modules = run(all(), 1).modules();
      modules.begin(ForwardPass.evaluation(tape));
      for (Encoder encoder : List.of(exact, rounded)) {
        Tensor hidden = encoder.forward(input, modules);
        assertEquals(encoder.precision().type(), hidden.scalar_type().intern());
        states.add(Torch.toFloats(Pooling.MEAN.of(hidden, input)));
      }
    }
    double distance = distance(states.get(0), states.get(1));
    assertTrue(distance > 1e-5 && distance < 2e-2, "distance " + distance);
  }

  @Test
  void gradientsAreFloat32AndCloseToThoseOfFloat32() {
    Batch batch = new Batches(data, data.size()).shuffled(SEED, 1).iterator().next();
    List<TrainingRun> runs = List.of(run(all(), 1), run(all(), 1));
    double loss = SingleStep.loss(trainer(exact, 0), runs.get(0), batch);
    double roundedLoss = SingleStep.loss(trainer(rounded, 0), runs.get(1), batch);
    assertEquals(loss, roundedLoss, 1e-2 * loss);
    for (String type : List.of("lora", "adapter")) {
      Tensor gradients = runs.get(1).modules().groups().get(type).gradients();
      assertEquals(torch.ScalarType.Float, gradients.scalar_type().intern());
      float[] expected = Torch.toFloats(runs.get(0).modules().groups().get(type).gradients());
      double distance = distance(expected, Torch.toFloats(gradients));
      assertTrue(distance < 0.1, type + ": distance " + distance);
    }
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

  @Test
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
    for (float[] other : pooled) {
      assertTrue(distance(pooled.get(0), other) < 1e-2);
    }
    assertArrayEquals(
        pooled.get(pooled.size() - 1),
        trainer(rounded, 0).predictor().features(run(all(), 1).modules(), data, done -> {}));
  }
}
