package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

class TokenLossTest {
  private static final int ROWS = 23;
  private static final int HIDDEN = 17;
  private static final int VOCABULARY = 41;

  /** A sum over the vocabulary, one over the rows, and some roundings of each term. */
  private static final double OF_SUMS = Rounding.likely(VOCABULARY + ROWS + 16, Rounding.FLOAT32);

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** About a third of the rows have none. */
  private static long[] labels() {
    Random random = TestSeed.random();
    long[] labels = new long[ROWS];
    for (int i = 0; i < ROWS; i++) {
      labels[i] = random.nextInt(3) == 0 && i > 0 ? TokenLoss.NO_LABEL : random.nextInt(VOCABULARY);
    }
    return labels;
  }

  private static Tensor labelled(long... labels) {
    return TokenLoss.labelled(ComputeDevice.CPU, labels);
  }

  private static Tensor leaf(Tensor values) {
    return values.detach().clone().set_requires_grad(true);
  }

  /** LibTorch's own, on all rows at once in float64. */
  private static Tensor reference(
      Tensor hidden, Tensor weight, Tensor labels, double cap, double smoothing) {
    Tensor logits = hidden.matmul(weight.t());
    if (cap > 0) {
      logits = logits.div(new Scalar(cap)).tanh().mul(new Scalar(cap));
    }
    return torch.cross_entropy_loss(
        logits, labels, Torch.none(), torch.Reduction.Mean.value, TokenLoss.NO_LABEL, smoothing);
  }

  @ParameterizedTest
  @CsvSource({"0, 0, 1", "0, 0, 100", "0, 0.2, 4", "3, 0, 5", "1.5, 0.1, 7"})
  void lossAndGradientAreThoseOfPlainCrossEntropy(double cap, double smoothing, long chunk) {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor weight = leaf(RandomTensors.normal(VOCABULARY, HIDDEN));
      Tensor values = RandomTensors.normal(ROWS, HIDDEN);
      long[] drawn = labels();
      Tensor labels = Torch.longs(drawn, ROWS);
      Tensor hidden = leaf(values);
      Tensor loss =
          new TokenLoss(weight, cap, chunk).mean(tape, hidden, labelled(drawn), smoothing);
      loss.mul(new Scalar(0.7)).backward();
      Tensor exact = leaf(values.to(torch.ScalarType.Double));
      Tensor exactWeight = leaf(weight.to(torch.ScalarType.Double));
      Tensor expected = reference(exact, exactWeight, labels, cap, smoothing);
      expected.mul(new Scalar(0.7)).backward();
      double ofLogits = ofLogits(exact, exactWeight, Rounding.FLOAT32);
      double limit = ofLogits + OF_SUMS * (1 + expected.item_double());
      Rounding.assertNear(expected.item_double(), loss.item_double(), limit, "loss");
      Tensor masses = masses(exact, exactWeight, cap, smoothing, drawn).mul(new Scalar(0.7));
      assertGradient(
          exact.grad(),
          hidden.grad(),
          ofLogits + OF_SUMS,
          masses.matmul(exactWeight.detach().abs()));
      assertGradient(
          exactWeight.grad(),
          weight.grad(),
          ofLogits + OF_SUMS,
          masses.t().matmul(exact.detach().abs()));
      Tensor each = new TokenLoss(weight, cap, chunk).logLikelihoods(values, labelled(drawn));
      double mean =
          reference(values.to(torch.ScalarType.Double), exactWeight.detach(), labels, cap, 0)
              .item_double();
      Rounding.assertNear(
          mean,
          -each.sum().item_double() / Arrays.stream(drawn).filter(l -> l >= 0).count(),
          ofLogits + OF_SUMS * (1 + mean),
          "mean of the rows");
    }
  }

  /** How far a logit, and so a probability's logarithm, may be off by its sum over HIDDEN terms. */
  private static double ofLogits(Tensor hidden, Tensor weight, double roundoff) {
    double largest = hidden.detach().abs().matmul(weight.detach().abs().t()).max().item_double();
    return Rounding.likely(HIDDEN, roundoff) * largest;
  }

  /** Probabilities and targets of the labelled rows, by the number of these: [ROWS, VOCABULARY]. */
  private static Tensor masses(
      Tensor hidden, Tensor weight, double cap, double smoothing, long... labels) {
    Tensor logits = hidden.detach().matmul(weight.detach().t());
    if (cap > 0) {
      logits = logits.div(new Scalar(cap)).tanh().mul(new Scalar(cap));
    }
    double[] targets = new double[ROWS * VOCABULARY];
    double[] counted = new double[ROWS];
    double count = Arrays.stream(labels).filter(label -> label >= 0).count();
    for (int i = 0; i < ROWS; i++) {
      if (labels[i] >= 0) {
        Arrays.fill(targets, i * VOCABULARY, (i + 1) * VOCABULARY, smoothing / VOCABULARY);
        targets[i * VOCABULARY + (int) labels[i]] += 1 - smoothing;
        counted[i] = 1 / count;
      }
    }
    return torch
        .softmax(logits, 1)
        .add(Tensor.create(targets, ROWS, VOCABULARY))
        .mul(Tensor.create(counted, ROWS, 1));
  }

  /**
   * A gradient is a sum of rows of what the logits are products with, weighted by probabilities and
   * targets that are off by a share.
   *
   * @param magnitudes the sums without signs
   */
  private static void assertGradient(
      Tensor expected, Tensor actual, double share, Tensor magnitudes) {
    Tensor error = actual.to(torch.ScalarType.Double).sub(expected).abs();
    // Rows without a label have a gradient of 0.
    Tensor parts = error.div(magnitudes.add(new Scalar(Double.MIN_NORMAL)));
    Rounding.assertAtMost(share, parts.max().item_double(), "gradient, of its magnitudes");
  }

  @Test
  void aGpuTakesManyRowsAtATime() {
    // 512 MiB, or 1,024 rows where that is more.
    assertEquals(4096, TokenLoss.libTorchRows(true, 32_768));
    assertEquals(1024, TokenLoss.libTorchRows(true, 262_144));
    assertEquals(256, TokenLoss.libTorchRows(false, 32_768));
    assertEquals(1, TokenLoss.libTorchRows(false, 1L << 30));
  }

  @Test
  void bfloat16LosesNoMoreThanItsOwnRounding() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor weight = RandomTensors.normal(VOCABULARY, HIDDEN).to(torch.ScalarType.BFloat16);
      Tensor values = RandomTensors.normal(ROWS, HIDDEN).to(torch.ScalarType.BFloat16);
      long[] drawn = labels();
      Tensor labels = Torch.longs(drawn, ROWS);
      Tensor hidden = leaf(values);
      Tensor loss = new TokenLoss(weight, 0).mean(tape, hidden, labelled(drawn), 0);
      loss.backward();
      Tensor exact = leaf(values.to(torch.ScalarType.Double));
      Tensor exactWeight = weight.to(torch.ScalarType.Double);
      Tensor expected = reference(exact, exactWeight, labels, 0, 0);
      expected.backward();
      // A logit is rounded once more, to bfloat16.
      double largest = exact.detach().matmul(exactWeight.t()).abs().max().item_double();
      double ofLogits =
          ofLogits(exact, exactWeight, Rounding.FLOAT32) + Rounding.BFLOAT16 * largest;
      double limit = ofLogits + OF_SUMS * (1 + expected.item_double());
      Rounding.assertNear(expected.item_double(), loss.item_double(), limit, "loss");
      assertEquals(torch.ScalarType.BFloat16, hidden.grad().scalar_type().intern());
      // So are a probability's gradient and the result.
      assertGradient(
          exact.grad(),
          hidden.grad(),
          ofLogits + OF_SUMS + Rounding.gamma(2, Rounding.BFLOAT16),
          masses(exact, exactWeight, 0, 0, drawn).matmul(exactWeight.abs()));
    }
  }

  @Test
  void withoutLabelsThereIsNoLossAndNoGradient() {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      Tensor hidden = leaf(RandomTensors.normal(2, HIDDEN));
      long[] none = {TokenLoss.NO_LABEL, TokenLoss.NO_LABEL};
      TokenLoss loss = new TokenLoss(RandomTensors.normal(VOCABULARY, HIDDEN), 0);
      Tensor zero = loss.mean(tape, hidden, labelled(none), 0);
      zero.backward();
      // It may be -0.
      assertEquals(0, Math.abs(zero.item_double()));
      assertArrayEquals(new float[2 * HIDDEN], Torch.toFloats(hidden.grad()));
      try (NoGradGuard guard = new NoGradGuard()) {
        Tensor each = loss.logLikelihoods(hidden.detach(), labelled(none));
        assertArrayEquals(new float[2], Torch.toFloats(each));
      }
    }
  }
}
