package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Our attention beside LibTorch's. */
class AttentionTest {
  private static final int HEADS = 3;
  private static final int HEAD_SIZE = 20;

  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** Sequences of different lengths, of which one fills its row. */
  private EncoderInput input(int rows, int length, boolean padded) {
    byte[] mask = new byte[rows * length];
    for (int i = 0; i < rows; i++) {
      int tokens = i == 0 || !padded ? length : 1 + random.nextInt(length);
      java.util.Arrays.fill(mask, i * length, i * length + tokens, (byte) 1);
    }
    return EncoderInput.of(new long[mask.length], new long[mask.length], mask, rows, length);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, false, FLOAT32, 1e-5",
    "4, 33, true, FLOAT32, 1e-5",
    "3, 130, true, FLOAT32, 1e-5",
    "4, 33, true, BF16, 1e-2",
    "2, 129, false, BF16, 1e-2"
  })
  void contextAndGradientAreThose(
      int rows, int length, boolean padded, Precision precision, double tolerance) {
    try (PointerScope scope = new PointerScope();
        Tape tape = new Tape()) {
      EncoderInput input = input(rows, length, padded);
      long hidden = HEADS * HEAD_SIZE;
      Tensor values = precision.of(RandomTensors.normal((long) rows * length, 3 * hidden));
      Tensor gradient = precision.of(RandomTensors.normal((long) rows * length, hidden));

      Tensor expectedIn = Precision.FLOAT32.of(values).detach().clone().requires_grad_(true);
      Tensor expected = SelfAttention.byLibTorch(expectedIn, input, HEADS);
      backward(expected, Precision.FLOAT32.of(gradient));

      Tensor in = values.detach().clone().requires_grad_(true);
      Tensor seen = SelfAttention.byKernels(tape, in, input, HEADS);
      backward(seen, gradient);

      assertNear(expected, seen, tolerance);
      assertNear(expectedIn.grad(), in.grad(), tolerance);
    }
  }

  private static void backward(Tensor output, Tensor gradient) {
    output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  private static void assertNear(Tensor expected, Tensor seen, double tolerance) {
    Tensor wide = Precision.FLOAT32.of(seen.detach());
    double error = wide.sub(expected.detach()).norm().item_double();
    double share = error / (expected.detach().norm().item_double() + 1e-30);
    assertTrue(share <= tolerance || error < 1e-6, "relative error " + share);
  }
}
