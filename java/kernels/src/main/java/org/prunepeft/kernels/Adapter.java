package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Serial bottleneck adapter, out = h + σ(v Dᵀ + d) Uᵀ + u. Errors, and calls for M = 0, as in
 * {@link Linear}.
 */
public final class Adapter {
  private Adapter() {}

  /**
   * The weights of an adapter, all of {@link Device#trainedType}.
   *
   * @param down D [m,K]
   * @param downBias d [m]
   * @param up U [K,m]
   * @param upBias u [K]
   * @param activation σ
   */
  public record Weights(
      Matrix down, Matrix downBias, Matrix up, Matrix upBias, Activation activation) {
    private void require(DType dtype, long k) {
      long m = down.rows();
      down.require("down", dtype, m, k);
      downBias.require("downBias", dtype, 1, m);
      up.require("up", dtype, k, m);
      upBias.require("upBias", dtype, 1, k);
    }
  }

  /** Gradients of the weights, float32 whatever the call's type; shapes as in {@link Weights}. */
  public record Gradients(Matrix down, Matrix downBias, Matrix up, Matrix upBias) {
    private void require(long m, long k) {
      down.require("gradient of down", DType.FLOAT32, m, k);
      downBias.require("gradient of downBias", DType.FLOAT32, 1, m);
      up.require("gradient of up", DType.FLOAT32, k, m);
      upBias.require("gradient of upBias", DType.FLOAT32, 1, k);
    }
  }

  /**
   * What an adapter computed with, for both passes.
   *
   * @param weights D [m,K], d [m], U [K,m], u [K]
   * @param v [M,K], its input
   * @param z [M,m] = v Dᵀ + d: {@link #forward} writes it, {@link #backward} reads it
   */
  public record Pass(Weights weights, Matrix v, Matrix z) {
    private void require(Context context) {
      DType trained = context.device().trainedType(v.dtype());
      weights.require(trained, v.cols());
      z.require("z", trained, v.rows(), weights.down.rows());
    }
  }

  /**
   * z = v Dᵀ + d and out = h + σ(z) Uᵀ + u.
   *
   * @param pass z is written
   * @param h [M,K], the residual; may be v's buffer
   * @param out [M,K], written; may be h's buffer, not v's
   */
  public static void forward(Context context, Pass pass, Matrix h, Matrix out) {
    Matrix v = pass.v;
    pass.require(context);
    h.require("h", v.dtype(), v.rows(), v.cols());
    out.require("out", v.dtype(), v.rows(), v.cols());
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_adapter_forward(
            context.struct(),
            call.matrix(0, v),
            call.matrix(1, h),
            call.adapter(pass.weights),
            call.matrix(2, pass.z),
            call.matrix(3, out)),
        context);
  }

  /**
   * The gradients of the weights, and dv. The gradient by h is dout itself.
   *
   * @param pass as {@link #forward} left it
   * @param dout [M,K]
   * @param gradients written, unless v has no rows
   * @param dv [M,K], written; null where it is not wanted
   */
  public static void backward(
      Context context, Pass pass, Matrix dout, Gradients gradients, Matrix dv) {
    Matrix v = pass.v;
    pass.require(context);
    gradients.require(pass.weights.down.rows(), v.cols());
    dout.require("dout", v.dtype(), v.rows(), v.cols());
    if (dv != null) {
      dv.require("dv", v.dtype(), v.rows(), v.cols());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_adapter_backward(
            context.struct(),
            call.matrix(0, dout),
            call.matrix(1, v),
            call.matrix(2, pass.z),
            call.adapter(pass.weights),
            call.gradients(gradients),
            call.matrix(3, dv)),
        context);
  }
}
