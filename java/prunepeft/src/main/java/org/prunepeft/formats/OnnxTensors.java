package org.prunepeft.formats;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.LongStream;
import org.prunepeft.checkpoint.OnnxGraph.Values;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.Checkpoint;

/**
 * Tensors of a checkpoint as an ONNX model stores them. They are read when they are written: a
 * matrix that is transposed is in memory as a whole, of others there is a part.
 *
 * <p>In 8 bits each row w of a matrix has a scale s = max |w| / 127, and q = round(w / s).
 */
final class OnnxTensors {
  /** What 8-bit weights without a sign have for 0. */
  static final int ZERO_POINT = 128;

  /** Of ONNX files, and of all processors that the native kernels are built for. */
  private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

  private static final int LARGEST = 127;
  private static final int CHUNK = 1 << 18;

  private OnnxTensors() {}

  /** Row-major, as they are. */
  static Values plain(Checkpoint checkpoint, String name) {
    long count = LongStream.of(checkpoint.shape(name)).reduce(1, Math::multiplyExact);
    return channel -> {
      ByteBuffer chunk = buffer((int) Math.min(count, CHUNK) * Float.BYTES);
      for (long from = 0; from < count; from += CHUNK) {
        read(checkpoint, name, from, (int) Math.min(count - from, CHUNK), chunk);
        AtomicFile.writeFully(channel, chunk);
      }
    };
  }

  /** A matrix [out,in] as [in,out]. */
  static Values transposed(Checkpoint checkpoint, String name) {
    return channel -> {
      float[] matrix = checkpoint.finiteFloats(name);
      int inputs = (int) checkpoint.shape(name)[1];
      int outputs = matrix.length / inputs;
      ByteBuffer column = buffer(outputs * Float.BYTES);
      for (int in = 0; in < inputs; in++) {
        column.clear();
        for (int out = 0; out < outputs; out++) {
          column.putFloat(matrix[out * inputs + in]);
        }
        AtomicFile.writeFully(channel, column.flip());
      }
    };
  }

  /**
   * A matrix [out,in] as [in,columns], 8-bit numbers from 1 to 255 with {@link #ZERO_POINT}, which
   * columns from out on consist of.
   */
  static Values transposedInt8(Checkpoint checkpoint, String name, int columns) {
    return channel -> {
      float[] matrix = checkpoint.finiteFloats(name);
      int inputs = (int) checkpoint.shape(name)[1];
      int outputs = matrix.length / inputs;
      float[] scales = new float[outputs];
      for (int out = 0; out < outputs; out++) {
        scales[out] = scale(matrix, out * inputs, inputs);
      }
      ByteBuffer row = buffer(columns);
      for (int in = 0; in < inputs; in++) {
        row.clear();
        for (int out = 0; out < outputs; out++) {
          int value = Math.round(matrix[out * inputs + in] / scales[out]);
          row.put((byte) (value + ZERO_POINT));
        }
        while (row.hasRemaining()) {
          row.put((byte) ZERO_POINT);
        }
        AtomicFile.writeFully(channel, row.flip());
      }
    };
  }

  /** Each row's scale, of a matrix [rows,width]. */
  static Values scales(Checkpoint checkpoint, String name) {
    return byRow(
        checkpoint,
        name,
        Float.BYTES,
        (values, from, width, target) -> target.putFloat(scale(values, from, width)));
  }

  /** A matrix [rows,width] in 8-bit numbers from -127 to 127. */
  static Values int8(Checkpoint checkpoint, String name) {
    int rowBytes = (int) checkpoint.shape(name)[1];
    return byRow(
        checkpoint,
        name,
        rowBytes,
        (values, from, width, target) -> {
          float scale = scale(values, from, width);
          for (int i = 0; i < width; i++) {
            target.put((byte) Math.round(values[from + i] / scale));
          }
        });
  }

  /** 1 for a row of zeros, which stay zeros by any. */
  private static float scale(float[] values, int from, int width) {
    float largest = 0;
    for (int i = from; i < from + width; i++) {
      largest = Math.max(largest, Math.abs(values[i]));
    }
    // Above 0, and so that no number is above 127.
    return largest < Float.MIN_NORMAL * LARGEST ? 1 : largest / LARGEST;
  }

  /** Writes what becomes of a row. */
  @FunctionalInterface
  private interface RowWriter {
    void write(float[] values, int from, int width, ByteBuffer target);
  }

  private static Values byRow(Checkpoint checkpoint, String name, int rowBytes, RowWriter row) {
    long rows = checkpoint.shape(name)[0];
    int width = (int) checkpoint.shape(name)[1];
    int together = (int) Math.min(rows, Math.max(1, CHUNK / width));
    return channel -> {
      float[] values = new float[together * width];
      ByteBuffer stored = buffer(values.length * Float.BYTES);
      ByteBuffer written = buffer(together * rowBytes);
      for (long first = 0; first < rows; first += together) {
        int count = (int) Math.min(rows - first, together);
        read(checkpoint, name, first * width, count * width, stored);
        stored.asFloatBuffer().get(values, 0, count * width);
        written.clear();
        for (int i = 0; i < count; i++) {
          row.write(values, i * width, width, written);
        }
        AtomicFile.writeFully(channel, written.flip());
      }
    };
  }

  private static void read(
      Checkpoint checkpoint, String name, long from, int count, ByteBuffer target)
      throws IOException {
    checkpoint.readFloats(name, from, target.clear().limit(count * Float.BYTES));
    Checkpoint.requireFinite(checkpoint.origin(), name, from, target.flip().asFloatBuffer());
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ORDER);
  }
}
