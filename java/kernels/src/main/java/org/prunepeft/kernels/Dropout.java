package org.prunepeft.kernels;

import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.DropoutStruct;

/**
 * Names a dropout mask of the counter-based generator (Philox4x32-10; linear.h gives the layout).
 * The mask is a function of these values and of the element's place, so the backward pass draws the
 * same one again.
 *
 * <p>Step and micro-batch may lie in the device's memory in place of {@code step} and {@code
 * microBatch}. Kernels then read them when they run, so that a recorded {@link DeviceGraph} draws
 * another mask at a launch once they have been overwritten.
 *
 * @param p probability that an element is dropped, in [0, 1)
 * @param seed the run's seed
 * @param mask names the module's masks: modules that share a step and an input need different ones
 * @param step of the training; all 32 bits are used
 * @param microBatch within the step, 0 to 65535
 * @param counter two 32-bit integers in the memory of the device that the calls are for, step and
 *     micro-batch in this order, the second unchecked; aligned to 8 bytes, the caller's, and needed
 *     until the work is done and a graph of it is closed. Null: {@code step} and {@code
 *     microBatch}, which are not looked at otherwise
 */
public record Dropout(float p, long seed, int mask, int step, int microBatch, Pointer counter) {
  /**
   * Checks the values.
   *
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

  /**
   * A mask named by value.
   *
   * @param p probability that an element is dropped, in [0, 1)
   * @param seed the run's seed
   * @param mask names the module's masks
   * @param step of the training; all 32 bits are used
   * @param microBatch within the step, 0 to 65535
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Dropout(float p, long seed, int mask, int step, int microBatch) {
    this(p, seed, mask, step, microBatch, null);
  }

  void write(DropoutStruct struct) {
    struct.p(p).seed(seed).step(step).micro_batch(microBatch);
    struct.counter(counter == null ? null : new IntPointer(Place.of(counter)));
  }
}
