package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Random;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.kernels.Activation;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.ForwardingEncoder;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Precision;
import org.prunepeft.model.RandomCheckpoint;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.FrozenPrefix;
import org.prunepeft.train.pass.TrainingRun;

class FrozenPrefixTest {
  private static final int HIDDEN = SmallBert.CONFIG.hidden();

  private final EncodedDataset data = SmallTask.draw(37, TestSeed.draw());
  private final EncodedDataset validation = SmallTask.draw(21, TestSeed.draw());
  private final long seed = TestSeed.draw();
  private Counting encoder;

  /** An encoder that counts the rows that go through its lower layers. */
  private static final class Counting extends ForwardingEncoder {
    private long lowerTokens;

    /** What the next call of its layers gives, of what it would give. */
    private UnaryOperator<Tensor> next = UnaryOperator.identity();

    Counting(Encoder encoder) {
      super(encoder);
    }

    @Override
    public Tensor embed(EncoderInput input) {
      lowerTokens += input.tokens();
      return super.embed(input);
    }

    @Override
    public Tensor layers(int from, int to, Tensor x, EncoderInput input, Insertions insertions) {
      UnaryOperator<Tensor> now = next;
      next = UnaryOperator.identity();
      return now.apply(super.layers(from, to, x, input, insertions));
    }
  }

  @BeforeEach
  void makeEncoder() {
    Torch.load();
    encoder = new Counting(SmallBert.create(seed, Precision.FLOAT32));
  }

  @AfterEach
  void closeEncoder() {
    encoder.close();
  }

  /** Hidden states of the real tokens of all examples, batch by batch of an epoch. */
  private float[] states(FrozenPrefix prefix, int epoch) {
    float[] states = new float[(int) data.tokens() * HIDDEN];
    int[] start = new int[data.size()];
    for (int i = 1; i < start.length; i++) {
      start[i] = start[i - 1] + data.length(i - 1);
    }
    for (Batch batch : new Batches(data, 5).shuffled(1, epoch)) {
      try (PointerScope scope = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        EncoderInput input =
            EncoderInput.of(batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
        Tensor x =
            prefix == null
                ? encoder.layers(0, 2, encoder.embed(input), input, Insertions.NONE)
                : prefix.apply(batch, input, Insertions.NONE);
        float[] values = Torch.toFloats(x);
        for (int i = 0; i < batch.rows(); i++) {
          int example = batch.indices()[i];
          System.arraycopy(
              values,
              i * batch.length() * HIDDEN,
              states,
              start[example] * HIDDEN,
              data.length(example) * HIDDEN);
        }
      }
    }
    return states;
  }

  /**
   * What states may differ by, which two computations round: it is measured, by weights that are
   * off as far as a sum may be.
   */
  private double limit(float[] expected) {
    Counting whole = encoder;
    Random random = TestSeed.random();
    double share = RandomCheckpoint.share(SmallBert.CONFIG, SmallBert.CONFIG.positions());
    double moved =
        Rounding.moved(
            expected,
            () -> {
              try (Counting off = new Counting(SmallBert.perturbed(seed, share, random))) {
                encoder = off;
                return states(null, 1);
              } finally {
                encoder = whole;
              }
            });
    return 2 * moved;
  }

  /** As where a GPU's memory is short: the pass is made once more then. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatCouldNotBeKeptIsComputedAgain(boolean begun) {
    float[] expected = states(null, 1);
    try (FrozenPrefix prefix = new FrozenPrefix(encoder, 2, data, 1_000_000, false)) {
      // Neither has the rows that are to be kept, and the first has no size to keep them in.
      encoder.next = begun ? x -> x.narrow(0, 0, 1) : x -> x.reshape(-1);
      assertThrows(RuntimeException.class, () -> states(prefix, 1));
      double limit = limit(expected);
      Rounding.assertNear(expected, states(prefix, 1), limit, "states of epoch 1");
      Rounding.assertNear(expected, states(prefix, 2), limit, "states of epoch 2");
    }
  }

  @ParameterizedTest
  @CsvSource({"1000000, false", "1000000, true", "7000, false", "0, false"})
  void itGivesWhatTheLayersGive(long bytes, boolean half) {
    float[] expected = states(null, 1);
    long once = encoder.lowerTokens;
    assertEquals(data.tokens(), once);
    // Kept in float16, they are rounded once.
    double limit = limit(expected) + (half ? Rounding.FLOAT16 * Rounding.largest(expected) : 0);
    try (FrozenPrefix prefix = new FrozenPrefix(encoder, 2, data, bytes, half)) {
      for (int epoch = 1; epoch <= 3; epoch++) {
        Rounding.assertNear(expected, states(prefix, epoch), limit, "states of epoch " + epoch);
      }
    }
    long room = bytes / (HIDDEN * (half ? 2 : 4));
    long kept = 0;
    for (int i = 0; i < data.size() && 1 + kept + data.length(i) <= room; i++) {
      kept += data.length(i);
    }
    assertEquals(once + 3 * once - 2 * kept, encoder.lowerTokens);
  }

  @Test
  void aTrainingGoesTheSameWithAndWithoutIt() {
    double[] losses = new double[2];
    for (int with = 0; with < 2; with++) {
      long before = encoder.lowerTokens;
      TrainingSettings settings =
          TrainingSettings.builder().batchSize(4).activationCacheMegabytes(with).build();
      PeftConfig config =
          PeftConfig.of(
              LoraConfig.of(3, 5, 0.1, java.util.List.of("query", "value")),
              AdapterConfig.of(7, Activation.GELU));
      try (Trainer trainer = new Trainer(encoder, settings);
          PeftModules modules =
              new PeftModules(
                  config,
                  SmallBert.CONFIG,
                  config.space(SmallBert.CONFIG).candidates().stream()
                      .filter(candidate -> candidate.layer() > 0)
                      .toList());
          Head head = new Head(SmallTask.SCHEMA, HIDDEN)) {
        modules.initialise(5, "test");
        TrainingRun run = new TrainingRun(modules, head, data, 4, 3, validation);
        losses[with] = trainer.train(run, StepListener.NONE, null).validation().loss();
      }
      long tokens = data.tokens() + validation.tokens();
      assertEquals(with == 0 ? 4 * tokens : tokens, encoder.lowerTokens - before);
    }
    int steps = 4 * (data.size() + 3) / 4;
    double limit = TrainingTest.share(validation.tokens(), steps) * losses[0];
    Rounding.assertNear(losses[0], losses[1], limit, "validation loss");
  }
}
