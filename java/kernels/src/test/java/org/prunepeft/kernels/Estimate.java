package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import org.prunepeft.testing.Rounding;

/**
 * A matrix in float64, and beside each element how far a device's may be from it: a running error
 * analysis (Higham, Accuracy and Stability of Numerical Algorithms, 3.3). Nothing in it is tuned:
 * what a device may lose is a rounding to a type, and a share of the sum of magnitudes where
 * float32 adds.
 */
final class Estimate {
  /**
   * Roundings that a term may pass beside those of its sum: a mask, a scale, a bias or another
   * addend, storing, and what a kernel does in another order.
   */
  private static final int BESIDE = 8;

  /**
   * Of GELU's and SiLU's values and slopes, of 1 + |z|. The native tests hold the values to 2.0e-7,
   * which is 3.4 roundings; a slope is a sum of two such terms.
   */
  private static final double ACCURACY = Rounding.gamma(8, Rounding.FLOAT32);

  /** More than any slope of an activation: GELU's are at most 1.13, SiLU's 1.10. */
  private static final double STEEPEST = 1.2;

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

  /** Of values that are off by so much at most. */
  static Estimate within(double[][] values, double[][] limits) {
    Estimate result = exact(values, values[0].length);
    for (int i = 0; i < values.length; i++) {
      System.arraycopy(limits[i], 0, result.error[i], 0, limits[i].length);
    }
    return result;
  }

  /** The gamma of float32 sums of up to so many terms. */
  static double gamma(int longest) {
    return Rounding.gamma(longest + BESIDE, Rounding.FLOAT32);
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

  /** Adds a row [1, cols] to each row. */
  Estimate plusRow(Estimate row, double gamma) {
    Estimate all = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      all.value[i] = row.value[0];
      all.error[i] = row.error[0];
    }
    return plus(all, gamma);
  }

  /** [1, cols]. */
  Estimate columnSums(double gamma) {
    double[][] ones = new double[1][rows];
    Arrays.fill(ones[0], 1);
    return exact(ones, rows).times(this, gamma);
  }

  /** An activation's values. */
  Estimate activated(Activation activation) {
    return mapped(activation, x -> Reference.apply(activation, x));
  }

  /** An activation's slopes, at numbers that the device has bit by bit. */
  Estimate slopes(Activation activation) {
    return mapped(activation, x -> Reference.derivative(activation, x));
  }

  private Estimate mapped(Activation activation, DoubleUnaryOperator function) {
    boolean smooth = activation == Activation.GELU || activation == Activation.SILU;
    Estimate result = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        double z = value[i][j];
        result.value[i][j] = function.applyAsDouble(z);
        result.error[i][j] =
            (smooth ? STEEPEST : 1) * error[i][j] + (smooth ? ACCURACY * (1 + Math.abs(z)) : 0);
      }
    }
    return result;
  }

  /** Element by element. */
  Estimate times(Estimate other) {
    Estimate result = new Estimate(rows, cols);
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < cols; j++) {
        double a = Math.abs(value[i][j]);
        double b = Math.abs(other.value[i][j]);
        result.value[i][j] = value[i][j] * other.value[i][j];
        result.error[i][j] = (a + error[i][j]) * (b + other.error[i][j]) - a * b;
      }
    }
    return result;
  }

  /** As wide as {@code all}, with this from a column on and zeros elsewhere. */
  Estimate within(int all, int firstColumn) {
    Estimate result = new Estimate(rows, all);
    for (int i = 0; i < rows; i++) {
      System.arraycopy(value[i], 0, result.value[i], firstColumn, cols);
      System.arraycopy(error[i], 0, result.error[i], firstColumn, cols);
    }
    return result;
  }

  /** The sum of the magnitudes in a row. */
  double magnitude(int row) {
    return Arrays.stream(value[row]).map(Math::abs).sum();
  }

  /** How far {@link #magnitude} may be off before it is summed. */
  double error(int row) {
    return Arrays.stream(error[row]).sum();
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

  static double roundoff(DType type) {
    return switch (type) {
      case FLOAT32 -> Rounding.FLOAT32;
      case FLOAT16 -> Rounding.FLOAT16;
      case BFLOAT16 -> Rounding.BFLOAT16;
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
        Rounding.assertNear(value[i][j], actual[i][j], error[i][j], place);
      }
    }
  }
}
