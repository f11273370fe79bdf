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
import org.prunepeft.testing.TestSeed;

class TokenLossTest {
  private static final int ROWS = 23;
  private static final int HIDDEN = 17;
  private static final int VOCABULARY = 41;

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
      assertEquals(expected.item_double(), loss.item_double(), 1e-5);
      assertArrayEquals(
          Torch.toFloats(exact.grad().to(torch.ScalarType.Float)),
          Torch.toFloats(hidden.grad()),
          1e-6f);
      assertArrayEquals(
          Torch.toFloats(exactWeight.grad().to(torch.ScalarType.Float)),
          Torch.toFloats(weight.grad()),
          1e-6f);
      Tensor each = new TokenLoss(weight, cap, chunk).logLikelihoods(values, labelled(drawn));
      assertEquals(
          reference(values.to(torch.ScalarType.Double), exactWeight.detach(), labels, cap, 0)
              .item_double(),
          -each.sum().item_double() / Arrays.stream(drawn).filter(l -> l >= 0).count(),
          1e-5);
    }
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
      Tensor expected = reference(exact, weight.to(torch.ScalarType.Double), labels, 0, 0);
      expected.backward();
      // Logits of about √17 in size are rounded to 8 bits.
      assertEquals(expected.item_double(), loss.item_double(), 0.02);
      assertEquals(torch.ScalarType.BFloat16, hidden.grad().scalar_type().intern());
      assertArrayEquals(
          Torch.toFloats(exact.grad().to(torch.ScalarType.Float)),
          Torch.toFloats(hidden.grad().to(torch.ScalarType.Float)),
          0.01f);
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
