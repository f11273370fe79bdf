package org.prunepeft.model;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.StoredType;

/** Reads a checkpoint's tensors straight into their places in memory. */
final class TensorReader {
  /** Values that are read at once; a Java buffer holds less than 2 GiB. */
  private static final long CHUNK = 1 << 19;

  private TensorReader() {}

  /** Reads a part of something into a buffer in the processor's byte order. */
  @FunctionalInterface
  interface PartReader {
    void read(long first, ByteBuffer target) throws IOException;
  }

  /**
   * Fills a tensor.
   *
   * @param target float32 or bfloat16, dense, on the CPU
   * @param stored name of a tensor of as many values
   * @throws org.prunepeft.io.FormatException if a value is not finite
   */
  static void fill(Tensor target, Checkpoint checkpoint, String stored) throws IOException {
    fill(target, checkpoint, stored, 0);
  }

  /**
   * Fills a tensor with a part of a stored one.
   *
   * @param target float32 or bfloat16, dense, on the CPU
   * @param begin number of the part's first value, counted from the stored tensor's start
   * @throws org.prunepeft.io.FormatException if a value is not finite
   */
  static void fill(Tensor target, Checkpoint checkpoint, String stored, long begin)
      throws IOException {
    boolean narrow = target.scalar_type().intern() == torch.ScalarType.BFloat16;
    fill(
        target,
        narrow ? Short.BYTES : Float.BYTES,
        (first, place) -> {
          if (narrow) {
            narrow(checkpoint, stored, begin + first, place);
          } else {
            floats(checkpoint, stored, begin + first, place);
          }
        });
  }

  /**
   * Fills a tensor in parts.
   *
   * @param target dense, on the CPU
   * @param size bytes of an element
   * @param part given the number of its first element
   */
  static void fill(Tensor target, long size, PartReader part) throws IOException {
    long count = target.numel();
    try (Pointer data = target.data_ptr()) {
      // By several threads: the system clears each page before it is first written, as slow as it
      // is read.
      LongStream.range(0, (count + CHUNK - 1) / CHUNK)
          .parallel()
          .forEach(
              chunk -> {
                long from = chunk * CHUNK;
                long to = Math.min(count, from + CHUNK);
                try (BytePointer place = new BytePointer(data).position(from * size)) {
                  ByteBuffer bytes = place.limit(to * size).asByteBuffer();
                  part.read(from, bytes.order(ByteOrder.nativeOrder()));
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              });
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private static void floats(Checkpoint checkpoint, String stored, long from, ByteBuffer place)
      throws IOException {
    // A duplicate has an order of its own.
    checkpoint.readFloats(stored, from, place.duplicate().order(ByteOrder.nativeOrder()));
    Checkpoint.requireFinite(checkpoint.origin(), stored, from, place.asFloatBuffer());
  }

  private static void narrow(Checkpoint checkpoint, String stored, long from, ByteBuffer place)
      throws IOException {
    ByteBuffer values = ByteBuffer.allocate(2 * place.remaining()).order(ByteOrder.nativeOrder());
    floats(checkpoint, stored, from, values);
    SafeTensors.round(StoredType.BF16, values, place);
  }
}
