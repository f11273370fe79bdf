package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.LongPointer;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Cross-entropy of a large vocabulary on the CPU, with its gradient: what follows an output layer's
 * product. Errors as in {@link Linear}.
 *
 * @param cap c: logits become c·tanh(z / c), as in Gemma 2; 0: they stay as they are
 * @param smoothing share of each label that is spread evenly over the vocabulary, in [0, 1)
 */
public record CrossEntropy(float cap, float smoothing) {
  /**
   * The losses of rows of logits, and the gradients of these by the logits.
   *
   * @param labels M numbers in [0, V)
   * @param z [M,V], float32 or bfloat16
   * @param losses [M,1], float32, written
   * @param dz of z's shape and type, written; may be its buffer; null: not wanted
   */
  public void loss(Context context, LongPointer labels, Matrix z, Matrix losses, Matrix dz) {
    losses.require("losses", DType.FLOAT32, z.rows(), 1);
    if (dz != null) {
      dz.require("dz", z.dtype(), z.rows(), z.cols());
    }
    Arguments.requireLength("labels", labels, z.rows(), "numbers");
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_cross_entropy_loss(
            context.struct(),
            call.crossEntropy(labels).cap(cap).smoothing(smoothing),
            call.matrix(0, z),
            call.matrix(1, losses),
            call.matrix(2, dz)),
        context);
  }
}
