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
import org.prunepeft.kernels.QuantizedMatrix;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.Torch;

/** Quantised weights of the same input, one below the other, of which one linear is made. */
final class QuantizedStack implements AutoCloseable {
  private final Checkpoint checkpoint;
  private final List<String> names;
  private final List<QuantizedTensor> parts = new ArrayList<>();

  private QuantizedStack(Checkpoint checkpoint, List<String> names) {
    this.checkpoint = checkpoint;
    this.names = names;
  }

  /**
   * Takes what the checkpoint has quantised as it is, and quantises the rest, one after the other.
   *
   * @param checkpoint has to stay open as long as the result
   * @param names of its tensors, in the order of the rows
   * @return to be closed; null if they are to be dense
   */
  static QuantizedStack of(Checkpoint checkpoint, List<String> names, Quantization quantization)
      throws IOException {
    QuantizedStack stack = new QuantizedStack(checkpoint, names);
    try {
      for (String name : names) {
        Optional<QuantizedTensor> stored = quantization.stored(checkpoint, name);
        if (stored.isEmpty() && !quantization.isForced()) {
          stack.close();
          return null;
        }
        stack.parts.add(
            stored.isPresent()
                ? stored.get()
                : QuantizedWeight.of(checkpoint, name, quantization.form()));
      }
      return stack;
    } catch (Throwable e) {
      stack.close();
      throw e;
    }
  }

  /** Whether they are one quantised matrix: of one kind, and each ends where a block does. */
  boolean fits() {
    QuantizedTensor first = parts.get(0);
    if (first.form() == QuantizedTensor.Form.NF4 && !suits(first.block())) {
      return false;
    }
    for (int i = 0; i < parts.size(); i++) {
      QuantizedTensor part = parts.get(i);
      if (part.form() != first.form()
          || part.block() != first.block()
          || !Arrays.equals(part.meanings(), first.meanings())
          || (i < parts.size() - 1 && count(part) % part.block() != 0)) {
        return false;
      }
    }
    return true;
  }

  /** Whether the kernels take blocks of so many values. */
  private static boolean suits(int block) {
    return block >= 32 && block <= 4096 && Integer.bitCount(block) == 1;
  }

  private static long count(QuantizedTensor tensor) {
    return tensor.shape()[0] * tensor.shape()[1];
  }

  private static long blocks(QuantizedTensor tensor) {
    return (count(tensor) + tensor.block() - 1) / tensor.block();
  }

  private long rows() {
    return parts.stream().mapToLong(part -> part.shape()[0]).sum();
  }

  /**
   * As codes and scales, where {@link #fits} says so.
   *
   * @param bias null: none
   * @param precision of what goes in and out
   */
  FrozenWeight packed(Tensor bias, Precision precision, ComputeDevice device) throws IOException {
    QuantizedTensor first = parts.get(0);
    long bytes = parts.stream().mapToLong(part -> part.form().bytes(count(part))).sum();
    Tensor codes = torch.empty(new long[] {bytes}, new TensorOptions(torch.ScalarType.Byte), null);
    Tensor scales =
        torch.empty(
            new long[] {parts.stream().mapToLong(QuantizedStack::blocks).sum()},
            new TensorOptions(torch.ScalarType.Float),
            null);
    long byteAt = 0;
    long blockAt = 0;
    for (int i = 0; i < parts.size(); i++) {
      QuantizedTensor part = parts.get(i);
      long own = part.form().bytes(count(part));
      try (Tensor place = codes.narrow(0, byteAt, own);
          Tensor scalePlace = scales.narrow(0, blockAt, blocks(part))) {
        TensorReader.fill(place, 1, part::readCodes);
        int number = i;
        TensorReader.fill(
            scalePlace,
            Float.BYTES,
            (from, target) -> {
              FloatBuffer floats = target.asFloatBuffer();
              floats.put(part.scales(from, floats.limit())).flip();
              Checkpoint.requireFinite(
                  checkpoint.origin(), names.get(number) + "'s scales", from, floats);
            });
      }
      byteAt += own;
      blockAt += blocks(part);
    }
    Tensor placedCodes = device.place(codes);
    Tensor placedScales = device.place(scales);
    QuantizedMatrix matrix = QuantizedWeight.matrix(first, rows(), placedCodes, placedScales);
    FrozenWeight weight = new FrozenWeight(matrix, bias, precision.type(), device);
    if (placedCodes != codes) {
      codes.close();
      scales.close();
    }
    if (!device.kernels().isCuda()) {
      // A GPU's kernels read what lies there, those of the CPU have copied it.
      placedCodes.close();
      placedScales.close();
    }
    return weight;
  }

  /** As floats of the same values. */
  Tensor dense(Precision precision) throws IOException {
    long columns = parts.get(0).shape()[1];
    Tensor whole =
        torch.empty(new long[] {rows(), columns}, new TensorOptions(precision.type()), null);
    long row = 0;
    for (QuantizedTensor part : parts) {
      long[] shape = part.shape();
      try (Tensor values =
              Torch.floats(part.values(0, Math.toIntExact(shape[0] * shape[1])), shape);
          Tensor place = whole.narrow(0, row, shape[0])) {
        place.copy_(values);
      }
      row += shape[0];
    }
    return whole;
  }

  /** Frees what was quantised here. */
  @Override
  public void close() {
    for (QuantizedTensor part : parts) {
      if (part instanceof QuantizedWeight own) {
        own.close();
      }
    }
  }
}
