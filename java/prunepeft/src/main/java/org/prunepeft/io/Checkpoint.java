package org.prunepeft.io;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Optional;
import java.util.Set;
import java.util.stream.LongStream;

/**
 * The weights of a model, wherever they are stored: named tensors whose values are read as float32,
 * in parts, straight to where they shall be. Several threads may read at once.
 */
public interface Checkpoint extends Closeable {
  /** {@return what messages call it: a file or a directory} */
  String origin();

  /** {@return the names of all tensors} */
  Set<String> names();

  /**
   * {@return a tensor's sizes in PyTorch's layout: [out,in] for a linear, [rows,width] for an
   * embedding}
   *
   * @param name one of {@link #names}
   * @throws java.util.NoSuchElementException if there is no such tensor
   */
  long[] shape(String name);

  /**
   * Reads values, row-major.
   *
   * @param name one of {@link #names}
   * @param first number of the first value, counted from the tensor's start
   * @param target is filled with float32 in the processor's byte order; its remaining bytes must be
   *     a multiple of 4
   * @throws java.util.NoSuchElementException if there is no such tensor
   * @throws FormatException if its elements are no floating-point numbers
   * @throws IndexOutOfBoundsException if the tensor has fewer values
   * @throws IOException if reading fails
   */
  void readFloats(String name, long first, ByteBuffer target) throws IOException;

  /**
   * {@return a tensor in the type in which it is stored, where that is known, else as float32; good
   * until this is closed}
   *
   * @param name one of {@link #names}
   * @throws java.util.NoSuchElementException if there is no such tensor
   */
  default SafeTensors.Source source(String name) {
    return SafeTensors.rounded(this, name, SafeTensors.StoredType.F32);
  }

  /**
   * {@return a tensor as codes and scales, where it is stored so or is to be; good until this is
   * closed. Its values are those that {@link #readFloats} gives}
   *
   * @param name one of {@link #names}
   * @throws IOException if reading fails
   */
  default Optional<QuantizedTensor> quantized(String name) throws IOException {
    return Optional.empty();
  }

  /**
   * Checks values of a tensor.
   *
   * @param origin as {@link #origin} says it
   * @param first number of the first value, counted from the tensor's start
   * @param values none of which may be NaN or infinite
   * @throws FormatException if one is; names the tensor
   */
  static void requireFinite(String origin, String name, long first, FloatBuffer values)
      throws FormatException {
    for (int i = 0; i < values.limit(); i++) {
      if (!Float.isFinite(values.get(i))) {
        throw new FormatException(
            "tensor %s of %s has %s as value %d: it was damaged, or its training diverged; take another copy, or train it anew"
                .formatted(name, origin, values.get(i), first + i));
      }
    }
  }

  /**
   * {@return all values of a tensor, row-major, none of which is NaN or infinite}
   *
   * @throws FormatException if one is, and as {@link #floats} does
   */
  default float[] finiteFloats(String name) throws IOException {
    float[] values = floats(name);
    requireFinite(origin(), name, 0, FloatBuffer.wrap(values));
    return values;
  }

  /**
   * {@return all values of a tensor, row-major}
   *
   * @param name one of {@link #names}
   * @throws java.util.NoSuchElementException if there is no such tensor
   * @throws FormatException if its elements are no floating-point numbers
   * @throws IllegalArgumentException if it has more values than an array
   * @throws IOException if reading fails
   */
  default float[] floats(String name) throws IOException {
    long count = LongStream.of(shape(name)).reduce(1, Math::multiplyExact);
    if (count > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "%s of %s has more values than an array: %d".formatted(name, origin(), count));
    }
    float[] values = new float[(int) count];
    int chunk = Math.min(values.length, 1 << 18);
    ByteBuffer buffer = ByteBuffer.allocate(chunk * Float.BYTES).order(ByteOrder.nativeOrder());
    for (int from = 0; from < values.length; from += chunk) {
      int length = Math.min(chunk, values.length - from);
      readFloats(name, from, buffer.clear().limit(length * Float.BYTES));
      buffer.flip().asFloatBuffer().get(values, from, length);
    }
    return values;
  }
}
