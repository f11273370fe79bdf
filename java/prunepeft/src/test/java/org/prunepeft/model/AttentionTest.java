package org.prunepeft.model;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.RandomTensors;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Our attention beside LibTorch's. */
class AttentionTest {
  private static final int HEADS = 3;
  private static final int HEAD_SIZE = 20;

  /** Roundings of a result that are in no sum: a scale, an exponential, a division. */
  private static final int OTHERS = 16;

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
    "1, 1, false, FLOAT32",
    "4, 33, true, FLOAT32",
    "3, 130, true, FLOAT32",
    "4, 33, true, BF16",
    "2, 129, false, BF16"
  })
  void contextAndGradientAreThose(int rows, int length, boolean padded, Precision precision) {
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

      // A score and the gradient of its weight sum up over a head's size; the softmax, its gradient
      // and what is weighted by it over the tokens; there and here. Ours in bfloat16 stores the
      // weights, their gradients and the results.
      double sums = 2 * Rounding.likely(2 * HEAD_SIZE + 3 * length + OTHERS, Rounding.FLOAT32);
      double share =
          sums + (precision == Precision.BF16 ? Rounding.gamma(3, Rounding.BFLOAT16) : 0);
      // A token alone has a gradient of 0 in query and key.
      double size = values.norm().item_double();
      double cancelling =
          length == 1 ? gradient.norm().item_double() * size * size / Math.sqrt(HEAD_SIZE) : 0;
      assertNear(expected, seen, share, 0, "context");
      assertNear(expectedIn.grad(), in.grad(), share, sums * cancelling, "gradient");
    }
  }

  private static void backward(Tensor output, Tensor gradient) {
    output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  private static void assertNear(
      Tensor expected, Tensor seen, double share, double more, String what) {
    Tensor wide = Precision.FLOAT32.of(seen.detach());
    double error = wide.sub(expected.detach()).norm().item_double();
    Rounding.assertAtMost(share * expected.detach().norm().item_double() + more, error, what);
  }
}
