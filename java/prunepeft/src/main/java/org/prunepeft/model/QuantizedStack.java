package org.prunepeft.model;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.QuantizedTensor;
import org.prunepeft.io.QuantizedTensor.Form;
import org.prunepeft.kernels.QuantizedMatrix;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.Torch;

/** Quantised weights of the same input, one below the other, of which one linear is made. */
final class QuantizedStack {
  private final Checkpoint checkpoint;
  private final List<Part> parts = new ArrayList<>();

  private QuantizedStack(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
  }

  /**
   * A weight.
   *
   * @param name of the checkpoint's tensor
   * @param shape [out,in]
   * @param stored as the checkpoint has it; null: it is quantised when it is read
   */
  private record Part(String name, long[] shape, Form form, QuantizedTensor stored) {
    int block() {
      return stored == null ? QuantizedWeight.block(form, shape) : stored.block();
    }

    float[] meanings() {
      return stored == null ? QuantizedWeight.meanings(form) : stored.meanings();
    }

    long count() {
      return shape[0] * shape[1];
    }

    long blocks() {
      return (count() + block() - 1) / block();
    }

    /** Codes and scales into their places. */
    void read(Checkpoint checkpoint, Tensor codes, Tensor scales, LoadingBuffers buffers)
        throws IOException {
      if (stored == null) {
        QuantizedWeight.quantize(checkpoint, name, form, codes, scales, buffers);
        return;
      }
      TensorReader.fill(codes, 1, stored::readCodes);
      TensorReader.fill(
          scales,
          Float.BYTES,
          (from, target) -> {
            FloatBuffer floats = target.asFloatBuffer();
            floats.put(stored.scales(from, floats.limit())).flip();
            Checkpoint.requireFinite(checkpoint.origin(), name + "'s scales", from, floats);
          });
    }

    float[] values(Checkpoint checkpoint) throws IOException {
      int count = Math.toIntExact(count());
      if (stored != null) {
        return stored.values(0, count);
      }
      try (QuantizedWeight own = QuantizedWeight.of(checkpoint, name, form)) {
        return own.values(0, count);
      }
    }
  }

  /**
   * Takes what the checkpoint has quantised as it is, and the rest to be quantised.
   *
   * @param checkpoint has to stay open as long as the result
   * @param names of its tensors, in the order of the rows
   * @return null if they are to be dense
   */
  static QuantizedStack of(Checkpoint checkpoint, List<String> names, Quantization quantization)
      throws IOException {
    QuantizedStack stack = new QuantizedStack(checkpoint);
    for (String name : names) {
      Optional<QuantizedTensor> stored = quantization.stored(checkpoint, name);
      if (stored.isEmpty() && !quantization.isForced()) {
        return null;
      }
      stack.parts.add(
          stored
              .map(own -> new Part(name, own.shape(), own.form(), own))
              .orElseGet(() -> new Part(name, checkpoint.shape(name), quantization.form(), null)));
    }
    return stack;
  }

  /** Whether they are one quantised matrix: of one kind, and each ends where a block does. */
  boolean fits() {
    Part first = parts.get(0);
    if (first.form == Form.NF4 && !suits(first.block())) {
      return false;
    }
    for (int i = 0; i < parts.size(); i++) {
      Part part = parts.get(i);
      if (part.form != first.form
          || part.block() != first.block()
          || !Arrays.equals(part.meanings(), first.meanings())
          || (i < parts.size() - 1 && part.count() % part.block() != 0)) {
        return false;
      }
    }
    return true;
  }

  /** Whether the kernels take blocks of so many values. */
  private static boolean suits(int block) {
    return block >= 32 && block <= 4096 && Integer.bitCount(block) == 1;
  }

  private long rows() {
    return parts.stream().mapToLong(part -> part.shape[0]).sum();
  }

  /**
   * As codes and scales, where {@link #fits} says so.
   *
   * @param bias null: none
   * @param precision of what goes in and out
   * @throws org.prunepeft.io.FormatException if a value or a scale is not finite
   */
  FrozenWeight packed(
      Tensor bias, Precision precision, ComputeDevice device, LoadingBuffers buffers)
      throws IOException {
    try (Tensor codes =
            buffers.codes(parts.stream().mapToLong(part -> part.form.bytes(part.count())).sum());
        Tensor scales = buffers.scales(parts.stream().mapToLong(Part::blocks).sum())) {
      long byteAt = 0;
      long blockAt = 0;
      for (Part part : parts) {
        long bytes = part.form.bytes(part.count());
        try (Tensor place = codes.narrow(0, byteAt, bytes);
            Tensor scalePlace = scales.narrow(0, blockAt, part.blocks())) {
          part.read(checkpoint, place, scalePlace, buffers);
        }
        byteAt += bytes;
        blockAt += part.blocks();
      }
      QuantizedMatrix matrix = matrix(readable(codes, device), readable(scales, device));
      return new FrozenWeight(matrix, bias, precision.type(), device);
    }
  }

  /**
   * What a device's kernels read of a buffer that is used again: a GPU's read it at each product,
   * those of the CPU make their own form of it at once.
   */
  private static Tensor readable(Tensor buffer, ComputeDevice device) {
    return device.kernels().isCuda() && !device.isCuda() ? buffer.clone() : device.place(buffer);
  }

  /**
   * As the kernels take it.
   *
   * @param codes uint8, and float32 scales, where the kernels read them
   */
  private QuantizedMatrix matrix(Tensor codes, Tensor scales) {
    Part first = parts.get(0);
    boolean bytes = first.form == Form.INT8;
    return new QuantizedMatrix(
        rows(),
        first.shape[1],
        codes.data_ptr(),
        scales.data_ptr(),
        bytes ? 0 : first.block(),
        bytes ? null : first.meanings());
  }

  /** As floats of the same values. */
  Tensor dense(Precision precision) throws IOException {
    long columns = parts.get(0).shape[1];
    Tensor whole =
        torch.empty(new long[] {rows(), columns}, new TensorOptions(precision.type()), null);
    long row = 0;
    for (Part part : parts) {
      try (Tensor values = Torch.floats(part.values(checkpoint), part.shape);
          Tensor place = whole.narrow(0, row, part.shape[0])) {
        place.copy_(values);
      }
      row += part.shape[0];
    }
    return whole;
  }
}
