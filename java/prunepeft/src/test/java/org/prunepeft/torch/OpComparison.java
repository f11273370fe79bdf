package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.function.BiFunction;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.testing.Rounding;

/**
 * An operation by our kernels, which takes a tape, beside the same by LibTorch in float32. Results
 * are compared by their norms.
 *
 * @param type of the operands of ours
 * @param roundings that a result may pass
 * @param input rounded to the type
 * @param gradient that of the output, rounded to the type
 */
record OpComparison(torch.ScalarType type, Roundings roundings, Tensor input, Tensor gradient) {
  /**
   * @param terms of the sums that a result goes through, one after the other, and other roundings
   *     in float32; LibTorch's has as many
   * @param stored how often it, or what it follows from, is rounded to the operands' type
   * @param inOutput the norm of the output's terms, where these may cancel
   * @param inGradient the same of the input's gradient
   */
  record Roundings(int terms, int stored, double inOutput, double inGradient) {
    Roundings(int terms, int stored) {
      this(terms, stored, 0, 0);
    }

    private double sums() {
      return 2 * Rounding.likely(terms, Rounding.FLOAT32);
    }

    private double share(torch.ScalarType type) {
      return type == torch.ScalarType.Float
          ? sums()
          : sums() + Rounding.gamma(stored, Rounding.BFLOAT16);
    }
  }

  OpComparison {
    input = input.to(type);
    gradient = gradient.to(type);
  }

  /**
   * Compares outputs and gradients.
   *
   * @param operation by LibTorch where the tape is null
   */
  void check(Tape tape, BiFunction<Tape, Tensor, Tensor> operation) {
    Tensor expectedIn = leaf(input.to(torch.ScalarType.Float));
    Tensor expected = operation.apply(null, expectedIn);
    backward(expected, gradient.to(torch.ScalarType.Float));
    Tensor in = leaf(input);
    int before = tape.size();
    Tensor seen = operation.apply(tape, in);
    assertEquals(before + 1, tape.size());
    assertEquals(type, seen.scalar_type().intern());
    backward(seen, gradient);
    double share = roundings.share(type);
    double more = roundings.sums() * roundings.inOutput;
    assertNear(expected, seen, share, more, type + ", output");
    more = roundings.sums() * roundings.inGradient;
    assertNear(expectedIn.grad(), in.grad(), share, more, type + ", gradient of the input");
    assertNear(input, in, 0, 0, "the input itself");
  }

  private static Tensor leaf(Tensor values) {
    return values.detach().clone().requires_grad_(true);
  }

  private static void backward(Tensor output, Tensor gradient) {
    output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  /** Two results in float32 by as many roundings, as {@link Roundings#terms}, in other orders. */
  static void assertNear(Tensor expected, Tensor seen, int terms, String what) {
    assertNear(expected, seen, new Roundings(terms, 0).sums(), 0, what);
  }

  private static void assertNear(
      Tensor expected, Tensor seen, double share, double more, String what) {
    Tensor wanted = expected.detach().to(torch.ScalarType.Double);
    double error = seen.detach().to(torch.ScalarType.Double).sub(wanted).norm().item_double();
    Rounding.assertAtMost(share * wanted.norm().item_double() + more, error, what);
  }
}
