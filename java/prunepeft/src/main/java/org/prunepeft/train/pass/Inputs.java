package org.prunepeft.train.pass;

import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.torch.ComputeDevice;

/** Batches as an encoder takes them. */
public final class Inputs {
  /** So few that what goes from operation to operation stays in the caches. */
  private static final int CPU_TOKENS = 1024;

  /** So many that a GPU has enough to do. */
  private static final int GPU_TOKENS = 1 << 14;

  private Inputs() {}

  /**
   * A data set in batches for passes without gradients, the longest examples first.
   *
   * @param device where they are made
   */
  public static Iterable<Batch> batches(ComputeDevice device, EncodedDataset data) {
    return Batches.ordered(data, device.isCuda() ? GPU_TOKENS : CPU_TOKENS);
  }

  /** All rows of a batch, on a device. */
  public static EncoderInput of(ComputeDevice device, Batch batch) {
    EncoderInput input =
        EncoderInput.of(
            device, batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
    return batch.starts() == null ? input : input.startingAt(batch.starts(), batch.longest());
  }
}
