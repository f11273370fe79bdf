package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

/**
 * A matrix in float64, and beside each element how far a device's may be from it: a running error
 * analysis (Higham, Accuracy and Stability of Numerical Algorithms, 3.3). Nothing in it is tuned:
 * what a device may lose is a rounding to a type, and a share of the sum of magnitudes where
 * float32 adds.
 */
final class Estimate {
  private final int rows;
  private final int cols;
  private final double[][] value;
  private final double[][] error;

  private Estimate(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
    value = new double[rows][cols];
    error = new double[rows][cols];
  }

  /** Of values that the device has bit by bit; `cols` counts where there are no rows. */
  static Estimate exact(double[][] values, int cols) {
    Estimate result = new Estimate(values.length, cols);
    for (int i = 0; i < values.length; i++) {
      System.arraycopy(values[i], 0, result.value[i], 0, cols);
    }
    return result;
  }

  Estimate transposed() {
    Estimate result = new Estimate(cols, rows);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        result.value[j][i] = value[i][j];
        result.error[j][i] = error[i][j];
      }
    }
    return result;
  }

  /**
   * this · right, with sums in float32: gamma is their relative error, of the sum of magnitudes.
   */
  Estimate times(Estimate right, double gamma) {
    assertEquals(cols, right.rows, "inner dimensions");
    Estimate result = new Estimate(rows, right.cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < right.cols; j++) {
        for (int k = 0; k < cols; k++) {
          double most =
              (Math.abs(value[i][k]) + error[i][k])
                  * (Math.abs(right.value[k][j]) + right.error[k][j]);
          result.value[i][j] += value[i][k] * right.value[k][j];
          result.error[i][j] += most - Math.abs(value[i][k] * right.value[k][j]) + gamma * most;
        }
      }
    }
    return result;
  }

  /** Elements times factors of the device's own float32, or known exactly. */
  Estimate elementwise(double[][] factors) {
    Estimate result = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        result.value[i][j] = value[i][j] * factors[i][j];
        result.error[i][j] = error[i][j] * Math.abs(factors[i][j]);
      }
    }
    return result;
  }

  Estimate scaled(double scale) {
    Estimate result = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        result.value[i][j] = scale * value[i][j];
        result.error[i][j] = Math.abs(scale) * error[i][j];
      }
    }
    return result;
  }

  /** this + other, in float32. */
  Estimate plus(Estimate other, double gamma) {
    Estimate result = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        double a = value[i][j];
        double b = other.value[i][j];
        double errors = error[i][j] + other.error[i][j];
        result.value[i][j] = a + b;
        result.error[i][j] = errors + gamma * (Math.abs(a) + Math.abs(b) + errors);
      }
    }
    return result;
  }

  /** Stored in a type. */
  Estimate rounded(DType type) {
    Estimate result = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        double most = Math.abs(value[i][j]) + error[i][j];
        result.value[i][j] = value[i][j];
        result.error[i][j] = error[i][j] + roundoff(type) * most + leastHalf(type);
      }
    }
    return result;
  }

  /**
   * Half the distance from 1 to the next number: 2 to the power of minus the significand's bits.
   */
  static double roundoff(DType type) {
    return switch (type) {
      case FLOAT32 -> 0x1p-24;
      case FLOAT16 -> 0x1p-11;
      case BFLOAT16 -> 0x1p-8;
    };
  }

  /** Half the least subnormal number. */
  private static double leastHalf(DType type) {
    return switch (type) {
      case FLOAT32 -> 0x1p-150;
      case FLOAT16 -> 0x1p-25;
      case BFLOAT16 -> 0x1p-134;
    };
  }

  void assertHolds(double[][] actual, String name) {
    assertEquals(rows, actual.length, name);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        String place = name + "[" + i + ", " + j + "]";
        if (error[i][j] == 0) {
          assertEquals(value[i][j], actual[i][j], place);
        } else {
          assertEquals(value[i][j], actual[i][j], error[i][j], place);
        }
      }
    }
  }
}
