package org.prunepeft.checkpoint;

import java.nio.ByteBuffer;
import java.util.stream.LongStream;

/**
 * A float32 tensor as a file holds it.
 *
 * @param shape as in the file
 * @param data holds its values, row-major, in the buffer's byte order
 * @param offset of the first value, in bytes
 * @param transposed whether it is to be handed out with its two axes exchanged
 */
record StoredFloats(long[] shape, ByteBuffer data, int offset, boolean transposed) {
  StoredFloats exchanged() {
    return new StoredFloats(shape, data, offset, true);
  }

  long[] outwardShape() {
    return transposed ? new long[] {shape[1], shape[0]} : shape.clone();
  }

  /** Fills {@code target} with float32 values, from the outward value number {@code first} on. */
  void read(String name, long first, ByteBuffer target) {
    long total = LongStream.of(shape).reduce(1, Math::multiplyExact);
    int count = target.remaining() / Float.BYTES;
    if (first < 0 || first > total - count) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on".formatted(name, total, count, first));
    }
    int in = transposed ? (int) shape[0] : 1;
    int out = transposed ? (int) shape[1] : 1;
    for (int k = (int) first; k < first + count; k++) {
      int place = transposed ? k % in * out + k / in : k;
      target.putFloat(data.getFloat(offset + place * Float.BYTES));
    }
  }
}
