package org.prunepeft.peft;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.torch.Tape;

/**
 * What a forward pass of the modules needs beside the encoder's tensors.
 *
 * @param tape records the operations
 * @param training whether modules drop inputs
 * @param seed of the dropout masks
 * @param step training step, names the masks; 0 with a counter
 * @param microBatch within the step, names them too, 0 to 65535; 0 with a counter
 * @param magnitudes null: the modules' outputs are not measured
 * @param rowMask [B,T], uint8, 0 for padding
 * @param tokens how many rows are real
 * @param counter [2] int32 on the device: step and micro-batch, in place of the two numbers, for a
 *     pass that is recorded and launched again in other steps; null: the numbers
 */
public record ForwardPass(
    Tape tape,
    boolean training,
    long seed,
    int step,
    int microBatch,
    OutputMagnitudes magnitudes,
    Tensor rowMask,
    long tokens,
    Tensor counter) {

  /**
   * {@return a pass without dropout and measurement}
   *
   * @param tape for the operations; need not be kept
   */
  public static ForwardPass evaluation(Tape tape) {
    return new ForwardPass(tape, false, 0, 0, 0, null, null, 0, null);
  }

  /**
   * {@return the dropout of modules in this pass; null: they drop nothing}
   *
   * @param p probability that an input is dropped, in [0, 1)
   * @param seed of the masks, such as {@link #seed()}
   */
  public Dropout dropout(float p, long seed) {
    if (!training || p == 0) {
      return null;
    }
    return new Dropout(p, seed, step, microBatch, counter == null ? null : counter.data_ptr());
  }
}
