package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * RMS normalisation (Zhang and Sennrich 2019), y = w'·x / √(mean(x²) + ε) for each run of K
 * elements of a row. Errors as in {@link Linear}.
 *
 * @param weight w [K], of the operands' type
 * @param epsilon ε, above 0
 * @param addsOne whether w' is 1 + w, as in Gemma; else it is w
 */
public record RmsNorm(Matrix weight, float epsilon, boolean addsOne) {
  /**
   * @param x [M, G·K]: G runs of K elements each, as a row's heads are
   * @param y of x's shape, written; may be its buffer
   * @param scales [M, G], 1 / √(mean(x²) + ε), written; the backward pass needs it; null: not
   *     wanted
   */
  public void forward(Context context, Matrix x, Matrix y, Matrix scales) {
    require(x);
    y.require("y", x.dtype(), x.rows(), x.cols());
    if (scales != null) {
      requireScales(x, scales);
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_rms_norm_forward(
            context.struct(),
            call.norm(this),
            call.matrix(0, x),
            call.matrix(1, y),
            call.matrix(2, scales)),
        context);
  }

  /**
   * The gradient by x; that by the weight is not computed.
   *
   * @param dy of x's shape
   * @param x [M, G·K], as {@link #forward} read it
   * @param scales as {@link #forward} wrote it
   * @param dx of x's shape, written; may be dy's buffer, not x's
   */
  public void backward(Context context, Matrix dy, Matrix x, Matrix scales, Matrix dx) {
    require(x);
    requireScales(x, scales);
    dy.require("dy", x.dtype(), x.rows(), x.cols());
    dx.require("dx", x.dtype(), x.rows(), x.cols());
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_rms_norm_backward(
            context.struct(),
            call.norm(this),
            call.matrix(0, dy),
            call.matrix(1, x),
            call.matrix(2, scales),
            call.matrix(3, dx)),
        context);
  }

  private void require(Matrix x) {
    weight.require("weight", x.dtype(), 1, weight.cols());
    if (weight.cols() == 0 || x.cols() % weight.cols() != 0) {
      throw new IllegalArgumentException(
          "x must have a multiple of the weight's %d columns, got %d"
              .formatted(weight.cols(), x.cols()));
    }
  }

  private void requireScales(Matrix x, Matrix scales) {
    scales.require("scales", DType.FLOAT32, x.rows(), x.cols() / weight.cols());
  }
}
