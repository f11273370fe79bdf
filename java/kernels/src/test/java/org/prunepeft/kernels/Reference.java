package org.prunepeft.kernels;

import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/** Matrix algebra in float64, as plain as it can be. */
final class Reference {
  private Reference() {}

  /** a b. */
  static double[][] product(double[][] a, double[][] b) {
    double[][] c = new double[a.length][b[0].length];
    for (int i = 0; i < c.length; i++) {
      for (int j = 0; j < c[0].length; j++) {
        for (int k = 0; k < b.length; k++) {
          c[i][j] += a[i][k] * b[k][j];
        }
      }
    }
    return c;
  }

  static double[][] transposed(double[][] a) {
    double[][] t = new double[a[0].length][a.length];
    for (int i = 0; i < a.length; i++) {
      for (int j = 0; j < a[0].length; j++) {
        t[j][i] = a[i][j];
      }
    }
    return t;
  }

  static double[][] map(double[][] a, DoubleUnaryOperator f) {
    return zip(a, a, (x, same) -> f.applyAsDouble(x));
  }

  static double[][] scaled(double scale, double[][] a) {
    return map(a, x -> scale * x);
  }

  static double[][] sum(double[][] a, double[][] b) {
    return zip(a, b, Double::sum);
  }

  /** a ∘ b. */
  static double[][] elementwise(double[][] a, double[][] b) {
    return zip(a, b, (x, y) -> x * y);
  }

  /** Adds a row [1, cols] to each row. */
  static double[][] plusRow(double[][] a, double[][] row) {
    double[][] c = map(a, x -> x);
    for (double[] line : c) {
      for (int j = 0; j < line.length; j++) {
        line[j] += row[0][j];
      }
    }
    return c;
  }

  /** [1, cols]. */
  static double[][] columnSums(double[][] a) {
    double[][] sums = new double[1][a[0].length];
    for (double[] row : a) {
      sums = sum(sums, new double[][] {row});
    }
    return sums;
  }

  private static double[][] zip(double[][] a, double[][] b, DoubleBinaryOperator f) {
    double[][] c = new double[a.length][a[0].length];
    for (int i = 0; i < c.length; i++) {
      for (int j = 0; j < c[0].length; j++) {
        c[i][j] = f.applyAsDouble(a[i][j], b[i][j]);
      }
    }
    return c;
  }

  static double apply(Activation activation, double x) {
    return switch (activation) {
      case IDENTITY -> x;
      case RELU -> Math.max(0, x);
      case GELU -> x * normal(x);
      case SILU -> x / (1 + Math.exp(-x));
    };
  }

  static double derivative(Activation activation, double x) {
    return switch (activation) {
      case IDENTITY -> 1;
      case RELU -> x > 0 ? 1 : 0;
      case SILU -> (1 + x / (1 + Math.exp(x))) / (1 + Math.exp(-x));
      case GELU -> normal(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    };
  }

  /**
   * The normal distribution's Φ, by erf's series, which loses its digits where |x| is large; good
   * to 1e-8.
   */
  private static double normal(double x) {
    if (Math.abs(x) > 6) {
      return x < 0 ? 0 : 1;
    }
    double y = x / Math.sqrt(2);
    double term = y;
    double sum = y;
    for (int n = 1; n < 200; n++) {
      term *= -y * y / n;
      sum += term / (2 * n + 1);
    }
    return 0.5 + sum / Math.sqrt(Math.PI);
  }
}
