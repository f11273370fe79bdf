package org.prunepeft.kernels;

import org.prunepeft.kernels.binding.DropoutStruct;

/**
 * Names a dropout mask of the counter-based generator (Philox4x32-10; lora.h gives the layout). The
 * mask is a function of these values, the branch's module number and the element's place, so the
 * backward pass draws the same one again.
 *
 * @param p probability that an element is dropped, in [0, 1)
 * @param seed the run's seed
 * @param step the training step
 * @param microBatch within the step, 0 to 65535
 */
public record Dropout(float p, long seed, int step, int microBatch) {
  /**
   * Checks the values.
   *
   * @param p probability that an element is dropped, in [0, 1)
   * @param seed the run's seed
   * @param step the training step
   * @param microBatch within the step, 0 to 65535
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Dropout {
    if (!(p >= 0 && p < 1)) {
      throw new IllegalArgumentException("dropout must be in [0, 1), got " + p);
    }
    if (microBatch < 0 || microBatch > 65535) {
      throw new IllegalArgumentException("microBatch must be in [0, 65535], got " + microBatch);
    }
  }

  /** The native form, or null if nothing is dropped. `this` may be null. */
  static DropoutStruct struct(Dropout dropout) {
    if (dropout == null || dropout.p == 0) {
      return null;
    }
    return new DropoutStruct()
        .p(dropout.p)
        .seed(dropout.seed)
        .step(dropout.step)
        .micro_batch(dropout.microBatch);
  }
}
