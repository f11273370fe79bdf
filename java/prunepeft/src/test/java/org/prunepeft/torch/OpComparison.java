package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.BiFunction;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * An operation by our kernels, which takes a tape, beside the same by LibTorch in float32.
 *
 * @param type of the operands of ours
 * @param tolerance the largest relative error
 * @param input rounded to the type
 * @param gradient that of the output, rounded to the type
 */
record OpComparison(torch.ScalarType type, double tolerance, Tensor input, Tensor gradient) {
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
    assertNear(expected, seen, tolerance);
    assertNear(expectedIn.grad(), in.grad(), tolerance);
    assertNear(input, in, 0);
  }

  private static Tensor leaf(Tensor values) {
    return values.detach().clone().requires_grad_(true);
  }

  private static void backward(Tensor output, Tensor gradient) {
    output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  static void assertNear(Tensor expected, Tensor seen, double tolerance) {
    Tensor wanted = expected.detach().to(torch.ScalarType.Float);
    double error = seen.detach().to(torch.ScalarType.Float).sub(wanted).norm().item_double();
    double size = wanted.norm().item_double();
    assertTrue(error <= tolerance * size + 1e-6, "error " + error + " of " + size);
  }
}
