package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * What a module adds to its layer, σ(p) Qᵀ + bias, as its factors: S and B of a LoRA module, z, U
 * and u of an adapter. The product is never stored.
 *
 * @param p [M,r]
 * @param activation σ
 * @param q [N,r]
 * @param bias [N]; null: none
 */
public record ModuleOutput(Matrix p, Activation activation, Matrix q, Matrix bias) {
  /**
   * {@return Σ |σ(p) Qᵀ + bias| over the rows whose mask is not 0}
   *
   * @param rowMask M bytes; null: all rows
   */
  public double magnitude(Context context, BytePointer rowMask) {
    try (DeviceBuffer sum = new DeviceBuffer(context.device(), Double.BYTES)) {
      magnitude(context, rowMask, sum.pointer());
      return sum.doubles(1)[0];
    }
  }

  /**
   * The same, left on the device: nothing waits for it.
   *
   * @param rowMask M bytes; null: all rows
   * @param sum float64 [1] in the device's memory, written
   */
  public void magnitude(Context context, BytePointer rowMask, Pointer sum) {
    q.require("q", p.dtype(), q.rows(), p.cols());
    if (bias != null) {
      bias.require("bias", p.dtype(), 1, q.rows());
    }
    if (rowMask != null && rowMask.limit() > 0 && rowMask.limit() - rowMask.position() < p.rows()) {
      throw new IllegalArgumentException(
          "rowMask must have " + p.rows() + " bytes, got " + rowMask.limit());
    }
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_output_magnitude(
            context.struct(),
            call.matrix(0, p),
            activation.ordinal(),
            call.matrix(1, q),
            call.matrix(2, bias),
            rowMask,
            new DoublePointer(Place.of(sum))),
        context,
        sum);
  }
}
