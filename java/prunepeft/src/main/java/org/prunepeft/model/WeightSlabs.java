package org.prunepeft.model;

import java.util.stream.LongStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/**
 * Memory for the dense weights of a model's linears, on the CPU, in pieces of which the C library
 * makes mappings of their own. A run that has the kernels' forms of all linears frees all dense
 * ones: so the system gets their memory back, where each by itself would leave a gap that few
 * activations fit into.
 */
final class WeightSlabs implements AutoCloseable {
  /** More than the C library keeps for itself, 32 MiB at most. */
  private static final long BYTES = 64 << 20;

  private static final long ALIGNMENT = 64;

  private final TensorOptions options;
  private final long width;

  /** Elements that are still to come. */
  private long expected;

  private Tensor slab;
  private long used;

  /**
   * @param precision of the weights
   * @param expected elements of all of them
   */
  WeightSlabs(Precision precision, long expected) {
    options = new TensorOptions(precision.type());
    width = precision == Precision.BF16 ? Short.BYTES : Float.BYTES;
    this.expected = expected;
  }

  /**
   * {@return a tensor without meaning yet, the caller's; a slab is freed with the last of its
   * tensors}
   */
  Tensor empty(long... shape) {
    long count = LongStream.of(shape).reduce(1, Math::multiplyExact);
    long step = ALIGNMENT / width;
    long room = (count + step - 1) / step * step;
    if (slab == null || used + room > slab.numel()) {
      close();
      long size = Math.max(room, Math.min(BYTES / width, expected));
      slab = torch.empty(new long[] {size}, options, null);
      used = 0;
    }
    Tensor tensor = torch.empty(new long[] {0}, options, null).set_(slab, used, shape);
    used += room;
    expected -= room;
    return tensor;
  }

  /** To be called when all are made; these stay. */
  @Override
  public void close() {
    if (slab != null) {
      slab.close();
      slab = null;
    }
  }
}
