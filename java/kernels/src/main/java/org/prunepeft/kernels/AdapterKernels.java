package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adapter_backward;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adapter_backward_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adapter_forward;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_adapter_forward_workspace;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.binding.AdapterGradientsStruct;
import org.prunepeft.kernels.binding.AdapterStruct;

/**
 * Serial bottleneck adapter, out = h + σ(v Dᵀ + d) Uᵀ + u. Errors, and calls for M = 0, as in
 * {@link LoraKernels}.
 */
public final class AdapterKernels {
  private AdapterKernels() {}

  /**
   * The weights of an adapter, all of {@link Device#trainedType}.
   *
   * @param down D [m,K]
   * @param downBias d [m]
   * @param up U [K,m]
   * @param upBias u [K]
   */
  public record Weights(
      Matrix down, Matrix downBias, Matrix up, Matrix upBias, Activation activation) {
    private AdapterStruct struct() {
      return new AdapterStruct()
          .down(down.data())
          .ldd(down.ld())
          .down_bias(downBias.data())
          .up(up.data())
          .ldu(up.ld())
          .up_bias(upBias.data())
          .activation(activation.ordinal());
    }

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
    private AdapterGradientsStruct struct() {
      return new AdapterGradientsStruct()
          .down(new FloatPointer(down.data()))
          .ldd(down.ld())
          .down_bias(new FloatPointer(downBias.data()))
          .up(new FloatPointer(up.data()))
          .ldu(up.ld())
          .up_bias(new FloatPointer(upBias.data()));
    }

    private void require(long m, long k) {
      down.require("gradient of down", DType.FLOAT32, m, k);
      downBias.require("gradient of downBias", DType.FLOAT32, 1, m);
      up.require("gradient of up", DType.FLOAT32, k, m);
      upBias.require("gradient of upBias", DType.FLOAT32, 1, k);
    }
  }

  /**
   * z = v Dᵀ + d and out = h + σ(z) Uᵀ + u.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param v [M,K]
   * @param h [M,K], the residual; may be v's buffer
   * @param weights D [m,K], d [m], U [K,m], u [K]
   * @param z [M,m], written; the backward pass needs it
   * @param out [M,K], written; may be h's buffer, not v's
   * @param workspace scratch memory, not for two calls at once
   */
  public static void forward(
      Device device,
      Matrix v,
      Matrix h,
      Weights weights,
      Matrix z,
      Matrix out,
      Workspace workspace) {
    long rows = v.rows();
    long k = v.cols();
    long m = weights.down().rows();
    weights.require(device.trainedType(v.dtype()), k);
    h.require("h", v.dtype(), rows, k);
    z.require("z", device.trainedType(v.dtype()), rows, m);
    out.require("out", v.dtype(), rows, k);
    try (PointerScope scope = new PointerScope()) {
      int dtype = v.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_adapter_forward_workspace(device.struct(), dtype, rows, k, m));
      check(
          pp_adapter_forward(
              device.struct(),
              dtype,
              rows,
              k,
              m,
              v.data(),
              v.ld(),
              h.data(),
              h.ld(),
              weights.struct(),
              z.data(),
              z.ld(),
              out.data(),
              out.ld(),
              memory,
              memory.capacity()));
    }
  }

  /**
   * The gradients of the weights, and dv. The gradient with respect to h is dout itself.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param dout [M,K]
   * @param v as in {@link #forward}
   * @param z as {@link #forward} wrote it
   * @param weights D [m,K], d [m], U [K,m], u [K]
   * @param gradients written, or added to if {@code accumulate}
   * @param accumulate whether gradients are added to what is there; else they replace it
   * @param dv [M,K], written; null where it is not wanted
   * @param workspace scratch memory, not for two calls at once
   */
  public static void backward(
      Device device,
      Matrix dout,
      Matrix v,
      Matrix z,
      Weights weights,
      Gradients gradients,
      boolean accumulate,
      Matrix dv,
      Workspace workspace) {
    long rows = v.rows();
    long k = v.cols();
    long m = weights.down().rows();
    weights.require(device.trainedType(v.dtype()), k);
    gradients.require(m, k);
    dout.require("dout", v.dtype(), rows, k);
    z.require("z", device.trainedType(v.dtype()), rows, m);
    if (dv != null) {
      dv.require("dv", v.dtype(), rows, k);
    }
    try (PointerScope scope = new PointerScope()) {
      int dtype = v.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_adapter_backward_workspace(device.struct(), dtype, rows, k, m));
      check(
          pp_adapter_backward(
              device.struct(),
              dtype,
              rows,
              k,
              m,
              dout.data(),
              dout.ld(),
              v.data(),
              v.ld(),
              z.data(),
              z.ld(),
              weights.struct(),
              gradients.struct(),
              accumulate ? 1 : 0,
              dv == null ? null : dv.data(),
              dv == null ? 0 : dv.ld(),
              memory,
              memory.capacity()));
    }
  }
}
