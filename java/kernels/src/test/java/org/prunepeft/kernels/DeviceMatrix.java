package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.prunepeft.kernels.KernelException.check;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import org.bytedeco.javacpp.BytePointer;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * A matrix of any type in a device's memory, written and read as float64. What lies between its
 * rows is NaN: a kernel that reads it spoils its result, and one that writes there is caught.
 */
final class DeviceMatrix implements AutoCloseable {
  private final Device device;
  private final DType type;
  private final int rows;
  private final int cols;
  private final int ld;
  private final DeviceBuffer memory;

  /** Rounds the values to the type, to the nearest, ties to even. */
  DeviceMatrix(Device device, DType type, int rows, int cols, int gap, double[][] values) {
    this.device = device;
    this.type = type;
    this.rows = rows;
    this.cols = cols;
    ld = cols + gap;
    memory = new DeviceBuffer(device, (long) rows * ld * type.bytes());
    double[][] all = new double[rows][ld];
    for (int i = 0; i < rows; i++) {
      Arrays.fill(all[i], Double.NaN);
      System.arraycopy(values[i], 0, all[i], 0, cols);
    }
    write(device, whole(), all);
  }

  /** Values in [-1, 1). */
  static DeviceMatrix random(
      Device device, DType type, Random random, int rows, int cols, int gap) {
    return new DeviceMatrix(device, type, rows, cols, gap, randomValues(random, rows, cols));
  }

  /** NaN everywhere, for what a kernel overwrites. */
  static DeviceMatrix poisoned(Device device, DType type, int rows, int cols, int gap) {
    double[][] values = new double[rows][cols];
    for (double[] row : values) {
      Arrays.fill(row, Double.NaN);
    }
    return new DeviceMatrix(device, type, rows, cols, gap, values);
  }

  private static double[][] randomValues(Random random, int rows, int cols) {
    double[][] values = new double[rows][cols];
    for (double[] row : values) {
      Arrays.setAll(row, j -> 2 * random.nextDouble() - 1);
    }
    return values;
  }

  Matrix matrix() {
    return new Matrix(memory.pointer(), type, rows, cols, ld);
  }

  private Matrix whole() {
    return new Matrix(memory.pointer(), type, rows, ld, ld);
  }

  double[][] values() {
    return read(device, matrix());
  }

  /** Checks each value by its bound, and that the gaps between rows are as they were. */
  void assertWithin(Estimate expected, String name) {
    expected.assertHolds(values(), name);
    assertGaps(name);
  }

  void assertGaps(String name) {
    double[][] all = read(device, whole());
    for (int i = 0; i < rows; i++) {
      for (int j = cols; j < ld; j++) {
        assertEquals(Double.NaN, all[i][j], name + " was written behind its row " + i);
      }
    }
  }

  /** A copy of any matrix of the device. */
  static double[][] read(Device device, Matrix matrix) {
    double[][] values = new double[(int) matrix.rows()][(int) matrix.cols()];
    if (matrix.rows() == 0 || matrix.cols() == 0) {
      return values;
    }
    int size = matrix.dtype().bytes();
    int bytes = (int) ((matrix.rows() - 1) * matrix.ld() + matrix.cols()) * size;
    try (BytePointer host = new BytePointer(bytes)) {
      check(LibPrunePeft.pp_copy_to_host(device.struct(), host, matrix.data(), bytes));
      ByteBuffer buffer = host.asByteBuffer().order(ByteOrder.nativeOrder());
      for (int i = 0; i < values.length; i++) {
        for (int j = 0; j < values[i].length; j++) {
          values[i][j] = get(buffer, matrix.dtype(), (int) (i * matrix.ld() + j) * size);
        }
      }
    }
    return values;
  }

  /** Fills any matrix of the device, and nothing between its rows. */
  static void write(Device device, Matrix matrix, double[][] values) {
    if (matrix.cols() == 0) {
      return;
    }
    int size = matrix.dtype().bytes();
    int bytes = (int) matrix.cols() * size;
    try (BytePointer host = new BytePointer(bytes)) {
      ByteBuffer buffer = host.asByteBuffer().order(ByteOrder.nativeOrder());
      for (int i = 0; i < matrix.rows(); i++) {
        for (int j = 0; j < matrix.cols(); j++) {
          put(buffer, matrix.dtype(), j * size, (float) values[i][j]);
        }
        Matrix row = matrix.part(i, 0, 1, matrix.cols());
        check(LibPrunePeft.pp_copy_to_device(device.struct(), row.data(), host, bytes));
      }
    }
  }

  private static double get(ByteBuffer buffer, DType type, int at) {
    return switch (type) {
      case FLOAT32 -> buffer.getFloat(at);
      case FLOAT16 -> halfValue(buffer.getShort(at));
      case BFLOAT16 -> Float.intBitsToFloat(buffer.getShort(at) << 16);
    };
  }

  private static void put(ByteBuffer buffer, DType type, int at, float value) {
    switch (type) {
      case FLOAT32 -> buffer.putFloat(at, value);
      case FLOAT16 -> buffer.putShort(at, halfBits(value));
      case BFLOAT16 -> buffer.putShort(at, bfloat16Bits(value));
    }
  }

  static double halfValue(short bits) {
    int exponent = bits >>> 10 & 31;
    int fraction = bits & 1023;
    double magnitude =
        switch (exponent) {
          case 0 -> Math.scalb((double) fraction, -24);
          case 31 -> fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
          default -> Math.scalb(1024.0 + fraction, exponent - 25);
        };
    return bits < 0 ? -magnitude : magnitude;
  }

  static short halfBits(float value) {
    int sign = Float.floatToIntBits(value) >>> 16 & 0x8000;
    float magnitude = Math.abs(value);
    if (!(magnitude < 65520)) {
      return (short) (sign | (Float.isNaN(value) ? 0x7e00 : 0x7c00));
    }
    if (magnitude < 0x1p-14f) {
      return (short) (sign | (int) Math.rint(magnitude * 0x1p24));
    }
    int bits = Float.floatToIntBits(magnitude) - (112 << 23);
    return (short) (sign | bits + 0xfff + (bits >>> 13 & 1) >>> 13);
  }

  static short bfloat16Bits(float value) {
    int bits = Float.floatToIntBits(value);
    return (short) (Float.isNaN(value) ? 0x7fc0 : bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  @Override
  public void close() {
    memory.close();
  }
}
