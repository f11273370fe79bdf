package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.function.DoubleSupplier;
import org.bytedeco.javacpp.FloatPointer;

/**
 * A float32 matrix in plain off-heap memory. What lies between its rows is NaN: a kernel that reads
 * it spoils its result, and one that writes there is caught.
 */
final class Buffer {
  private final int rows;
  private final int cols;
  private final int ld;
  private final FloatPointer memory;

  private Buffer(int rows, int cols, int ld, DoubleSupplier values) {
    this.rows = rows;
    this.cols = cols;
    this.ld = ld;
    float[] all = new float[rows * ld];
    for (int i = 0; i < all.length; i++) {
      all[i] = i % ld < cols ? (float) values.getAsDouble() : Float.NaN;
    }
    memory = new FloatPointer(all);
  }

  /** Values in [-1, 1). */
  static Buffer random(Random random, int rows, int cols, int ld) {
    return new Buffer(rows, cols, ld, () -> 2 * random.nextDouble() - 1);
  }

  static Buffer random(Random random, int rows, int cols) {
    return random(random, rows, cols, cols);
  }

  /** NaN everywhere, for what a kernel overwrites. */
  static Buffer poisoned(int rows, int cols, int ld) {
    return filled(Float.NaN, rows, cols, ld);
  }

  static Buffer poisoned(int rows, int cols) {
    return poisoned(rows, cols, cols);
  }

  static Buffer filled(double value, int rows, int cols, int ld) {
    return new Buffer(rows, cols, ld, () -> value);
  }

  static Buffer of(double[][] values) {
    int cols = values[0].length;
    int[] next = {0};
    return new Buffer(values.length, cols, cols, () -> values[next[0] / cols][next[0]++ % cols]);
  }

  void set(int row, int col, double value) {
    memory.put((long) row * ld + col, (float) value);
  }

  Matrix matrix() {
    return Matrix.of(memory, rows, cols, ld);
  }

  /** [rows, cols] in float64. */
  double[][] values() {
    float[] all = floats();
    double[][] values = new double[rows][cols];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        values[i][j] = all[i * ld + j];
      }
    }
    return values;
  }

  /** All of the memory, gaps between rows included. */
  float[] floats() {
    float[] all = new float[rows * ld];
    memory.get(all);
    return all;
  }

  /** Checks values up to 1e-5 of the largest, and that the gaps between rows are as they were. */
  void assertEqualTo(double[][] expected, String name) {
    assertNear(expected, values(), 1e-5, name);
    float[] all = floats();
    for (int i = 0; i < all.length; i++) {
      if (i % ld >= cols) {
        assertEquals(Float.NaN, all[i], name + " was written between its rows, at " + i);
      }
    }
  }

  /** Checks values up to a share of the largest of them, or of 1. */
  static void assertNear(double[][] expected, double[][] actual, double share, String name) {
    double largest = 1;
    for (double[] row : expected) {
      for (double value : row) {
        largest = Math.max(largest, Math.abs(value));
      }
    }
    for (int i = 0; i < expected.length; i++) {
      for (int j = 0; j < expected[i].length; j++) {
        assertEquals(
            expected[i][j], actual[i][j], share * largest, name + "[" + i + ", " + j + "]");
      }
    }
  }
}
