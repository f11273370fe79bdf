package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.function.DoubleSupplier;
import org.bytedeco.javacpp.FloatPointer;
import org.prunepeft.testing.Rounding;

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

  /** Its values, which are exact. */
  Estimate estimate() {
    return Estimate.exact(values(), cols);
  }

  /** Checks each value by its bound, and that the gaps between rows are as they were. */
  void assertHolds(Estimate expected, String name) {
    expected.assertHolds(values(), name);
    assertGaps(name);
  }

  /** Checks all values by one limit, and the gaps. */
  void assertNear(double[][] expected, double limit, String name) {
    double[][] seen = values();
    for (int i = 0; i < rows; i++) {
      Rounding.assertNear(expected[i], seen[i], limit, name + ", row " + i);
    }
    assertGaps(name);
  }

  private void assertGaps(String name) {
    float[] all = floats();
    for (int i = 0; i < all.length; i++) {
      if (i % ld >= cols) {
        assertEquals(Float.NaN, all[i], name + " was written between its rows, at " + i);
      }
    }
  }
}
