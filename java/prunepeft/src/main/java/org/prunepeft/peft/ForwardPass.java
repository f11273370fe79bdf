package org.prunepeft.peft;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.Tape;

/**
 * What a forward pass of the modules needs beside the encoder's tensors.
 *
 * @param tape records the operations
 * @param training whether modules drop inputs
 * @param seed of the dropout masks
 * @param step training step, names the masks
 * @param microBatch within the step, names them too; 0 to 65535
 * @param magnitudes null: the modules' outputs are not measured
 * @param rowMask [B,T], uint8, 0 for padding
 * @param tokens how many rows are real
 */
public record ForwardPass(
    Tape tape,
    boolean training,
    long seed,
    int step,
    int microBatch,
    OutputMagnitudes magnitudes,
    Tensor rowMask,
    long tokens) {

  /**
   * {@return a pass without dropout and measurement}
   *
   * @param tape for the operations; need not be kept
   */
  public static ForwardPass evaluation(Tape tape) {
    return new ForwardPass(tape, false, 0, 0, 0, null, null, 0);
  }
}
