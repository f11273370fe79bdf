package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/**
 * Memory that the linears of a model are read and quantised in, one after the other: if each had
 * its own, what is kept of one would lie in the gap that another left, and the gap that remains
 * would be too small for the next. Tensors on the CPU.
 */
final class LoadingBuffers implements AutoCloseable {
  private final Buffer floats = new Buffer(torch.ScalarType.Float);
  private final Buffer codes = new Buffer(torch.ScalarType.Byte);
  private final Buffer scales = new Buffer(torch.ScalarType.Float);

  /** One tensor, as long as the longest that was asked for. */
  private static final class Buffer {
    private final torch.ScalarType type;
    private Tensor whole;

    Buffer(torch.ScalarType type) {
      this.type = type;
    }

    Tensor of(long count) {
      if (whole == null || whole.numel() < count) {
        close();
        whole = torch.empty(new long[] {count}, new TensorOptions(type), null);
      }
      return whole.narrow(0, 0, count);
    }

    void close() {
      if (whole != null) {
        whole.close();
        whole = null;
      }
    }
  }

  /** {@return [count] float32 without meaning, a view that is good until the next call} */
  Tensor floats(long count) {
    return floats.of(count);
  }

  /** {@return [count] uint8 without meaning, a view that is good until the next call} */
  Tensor codes(long count) {
    return codes.of(count);
  }

  /** {@return [count] float32 without meaning, a view that is good until the next call} */
  Tensor scales(long count) {
    return scales.of(count);
  }

  /** Frees all of it; it may be used again. */
  @Override
  public void close() {
    floats.close();
    codes.close();
    scales.close();
  }
}
