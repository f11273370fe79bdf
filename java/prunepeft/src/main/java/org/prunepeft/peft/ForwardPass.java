package org.prunepeft.peft;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.ModuleOutput;
import org.prunepeft.torch.Tape;

/**
 * What a forward pass of the modules needs beside the encoder's tensors.
 *
 * @param tape records the operations
 * @param masks names the dropout masks of a training step; null: modules drop nothing
 * @param measurement null: the modules' outputs are not measured
 * @param predicts whether it is for {@link #prediction} alone
 */
public record ForwardPass(Tape tape, Masks masks, Measurement measurement, boolean predicts) {
  /**
   * A pass of a training.
   *
   * @param tape records the operations
   * @param masks names the dropout masks of a training step; null: modules drop nothing
   * @param measurement null: the modules' outputs are not measured
   */
  public ForwardPass(Tape tape, Masks masks, Measurement measurement) {
    this(tape, masks, measurement, false);
  }

  /**
   * Names the dropout masks of a pass.
   *
   * @param step training step; 0 with a counter
   * @param microBatch within the step, 0 to 65535; 0 with a counter
   * @param counter [2] int32 on the device: step and micro-batch, in place of the two numbers, for
   *     a pass that is recorded and launched again in other steps; null: the numbers
   */
  public record Masks(long seed, int step, int microBatch, Tensor counter) {}

  /**
   * What the sizes of the modules' outputs are added to.
   *
   * @param rowMask [B,T], uint8, 0 for padding
   * @param tokens how many rows are real
   */
  public record Measurement(OutputMagnitudes magnitudes, Tensor rowMask, long tokens) {}

  /**
   * {@return a pass without dropout and measurement}
   *
   * @param tape for the operations; need not be kept
   */
  public static ForwardPass evaluation(Tape tape) {
    return new ForwardPass(tape, null, null);
  }

  /**
   * {@return the same where no gradient is asked for: kernels may compute layers as a whole, which
   * is faster, and whose results may differ in their last bits}
   *
   * @param tape for the operations; need not be kept
   */
  public static ForwardPass prediction(Tape tape) {
    return new ForwardPass(tape, null, null, true);
  }

  /** {@return null: the outputs are not measured, or were when they were computed first} */
  @Override
  public Measurement measurement() {
    return tape.isRecomputing() ? null : measurement;
  }

  /**
   * {@return the dropout of a module in this pass; null: it drops nothing}
   *
   * @param p probability that an input is dropped, in [0, 1)
   * @param mask names the module's masks
   */
  public Dropout dropout(float p, int mask) {
    if (masks == null || p == 0) {
      return null;
    }
    return new Dropout(
        p,
        masks.seed,
        mask,
        masks.step,
        masks.microBatch,
        masks.counter == null ? null : masks.counter.data_ptr());
  }

  /**
   * Adds the size of a module's output to what this pass measures, if it does.
   *
   * @param module the module's name
   * @param output on this pass's rows
   */
  public void measure(String module, ModuleOutput output) {
    if (measurement() != null) {
      measurement.magnitudes.measure(module, this, output);
    }
  }

  /**
   * The same for an output that is stored.
   *
   * @param module the module's name
   * @param output [B·T,N]
   */
  public void measure(String module, Tensor output) {
    if (measurement() != null) {
      measurement.magnitudes.measure(module, measurement, output);
    }
  }
}
