package org.prunepeft.kernels;

/** Activations in float64. */
final class Reference {
  private Reference() {}

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
