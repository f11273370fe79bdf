package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.RmsNorm;

/**
 * RMS normalisation, y = w'·x / √(mean(x²) + ε), by our kernels, without a tape by LibTorch. The
 * weight is frozen.
 */
public final class RmsNormOp {
  private RmsNormOp() {}

  /**
   * {@return y, of x's shape and type}
   *
   * @param tape null: by LibTorch
   * @param x [M, G·K], float32 or bfloat16: each of a row's G runs of K elements is normalised by
   *     itself; columns of a wider matrix may be given
   * @param weight w [K], of x's type
   * @param epsilon ε, above 0
   * @param addsOne whether w' is 1 + w, as in Gemma; else it is w
   */
  public static Tensor apply(Tape tape, Tensor x, Tensor weight, double epsilon, boolean addsOne) {
    if (tape == null) {
      return byLibTorch(x, weight, epsilon, addsOne);
    }
    ComputeDevice place = ComputeDevice.of(x);
    Context context = tape.context(place.kernels());
    RmsNorm norm = new RmsNorm(Torch.matrix(weight.detach()), (float) epsilon, addsOne);
    Tensor input = x.detach();
    Tensor y;
    Tensor scales;
    torch.ScalarType type = input.scalar_type().intern();
    try (NoGradGuard guard = new NoGradGuard()) {
      y = place.emptyMatrix(x.size(0), x.size(1), type);
      scales = place.emptyMatrix(x.size(0), x.size(1) / weight.size(0));
      norm.forward(context, Torch.matrix(input), Torch.matrix(y), Torch.matrix(scales));
    }
    return tape.record(
        y,
        List.of(x),
        List.of(input, weight),
        gradient -> {
          Tensor dx = place.emptyMatrix(input.size(0), input.size(1), type);
          norm.backward(
              context,
              Torch.matrix(gradient.contiguous()),
              Torch.matrix(input),
              Torch.matrix(scales),
              Torch.matrix(dx));
          return new Tensor[] {dx};
        });
  }

  private static Tensor byLibTorch(Tensor x, Tensor weight, double epsilon, boolean addsOne) {
    Tensor wide = x.reshape(x.size(0), -1, weight.size(0)).to(torch.ScalarType.Float);
    Tensor mean = wide.mul(wide).mean(new long[] {-1}, true, new ScalarTypeOptional());
    Tensor factor = weight.to(torch.ScalarType.Float);
    if (addsOne) {
      factor = factor.add(new Scalar(1.0));
    }
    return wide.mul(mean.add(new Scalar(epsilon)).rsqrt())
        .mul(factor)
        .reshape(x.size(0), x.size(1))
        .to(x.scalar_type().intern());
  }
}
