package org.prunepeft.train.pass;

import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.torch.ComputeDevice;

/** Batches as an encoder takes them. */
public final class Inputs {
  private Inputs() {}

  /** All rows of a batch, on a device. */
  public static EncoderInput of(ComputeDevice device, Batch batch) {
    return EncoderInput.of(
        device, batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
  }
}
