package org.prunepeft.search.measured;

import java.util.Optional;
import org.hipparchus.distribution.continuous.FDistribution;
import org.hipparchus.distribution.continuous.TDistribution;

/** Means, their intervals, and how much of a spread is noise. */
final class Statistics {
  private static final double UPPER = 0.975;

  private Statistics() {}

  static double mean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }

  static double variance(double[] values) {
    double mean = mean(values);
    double sum = 0;
    for (double value : values) {
      sum += (value - mean) * (value - mean);
    }
    return sum / (values.length - 1);
  }

  static double dot(double[] one, double[] other) {
    // Four sums: one alone waits for each addition before the next.
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int i = 0;
    for (; i + 3 < one.length; i += 4) {
      a += one[i] * other[i];
      b += one[i + 1] * other[i + 1];
      c += one[i + 2] * other[i + 2];
      d += one[i + 3] * other[i + 3];
    }
    for (; i < one.length; i++) {
      a += one[i] * other[i];
    }
    return (a + b) + (c + d);
  }

  /** By Student's t. */
  static Estimate estimate(double mean, double variance, double degreesOfFreedom) {
    double half = quantile(degreesOfFreedom) * Math.sqrt(Math.max(0, variance));
    return new Estimate(mean, mean - half, mean + half);
  }

  static double quantile(double degreesOfFreedom) {
    return new TDistribution(Math.max(1, Math.min(1e6, degreesOfFreedom)))
        .inverseCumulativeProbability(UPPER);
  }

  /**
   * The degrees of freedom of a sum of two variances (Satterthwaite, 1946).
   *
   * @param one a variance
   * @param ofOne its degrees of freedom
   * @param other another variance
   * @param ofOther its degrees of freedom
   */
  static double degreesOfFreedom(double one, double ofOne, double other, double ofOther) {
    double sum = one + other;
    if (!(sum > 0)) {
      return ofOne;
    }
    return sum * sum / (one * one / ofOne + other * other / ofOther);
  }

  /** The mean of paired differences, with its interval. */
  static Estimate paired(double[] one, double[] other) {
    double[] difference = new double[one.length];
    boolean binary = true;
    for (int i = 0; i < one.length; i++) {
      difference[i] = one[i] - other[i];
      binary &= isBit(one[i]) && isBit(other[i]);
    }
    int n = difference.length;
    double mean = mean(difference);
    if (!binary) {
      return estimate(mean, variance(difference) / n, n - 1.0);
    }
    // One more example for each side: Bonett and Price, 2012, since few of the examples differ.
    double squares = dot(difference, difference) + 2;
    double adjusted = mean * n / (n + 2);
    double variance = (squares / (n + 2) - adjusted * adjusted) / (n + 2);
    Estimate estimate = estimate(adjusted, variance, n - 1.0);
    return new Estimate(mean, Math.min(mean, estimate.low()), Math.max(mean, estimate.high()));
  }

  private static boolean isBit(double value) {
    return value == 0 || value == 1;
  }

  /**
   * A subset against the mean of all random ones, of which some were measured.
   *
   * @param subset its values
   * @param random [subsets][examples]
   * @param draws what the mean over these subsets lacks to that over all, and how uncertain that is
   */
  static Estimate againstRandom(double[] subset, double[][] random, Shift draws) {
    int n = subset.length;
    double[] difference = new double[n];
    for (int i = 0; i < n; i++) {
      double sum = 0;
      for (double[] values : random) {
        sum += values[i];
      }
      difference[i] = subset[i] - sum / random.length;
    }
    double examples = variance(difference) / n;
    return estimate(
        mean(difference) - draws.mean,
        examples + draws.variance,
        degreesOfFreedom(examples, n - 1.0, draws.variance, draws.degreesOfFreedom));
  }

  /** A correction with its variance. */
  record Shift(double mean, double variance, double degreesOfFreedom) {}

  /**
   * Two-way analysis of variance without repetition: subsets by examples. Subsets share modules,
   * and with them noise, so that their means vary in fewer directions than there are subsets;
   * degrees of freedom are by the covariance of their values over the examples.
   *
   * @param values [subsets][examples], of distinct random subsets
   * @return empty: there is one alone, which says nothing of how they differ
   */
  static Optional<Spread> spread(double[][] values) {
    int subsets = values.length;
    if (subsets == 1) {
      return Optional.empty();
    }
    int examples = values[0].length;
    double[] means = new double[subsets];
    double[] difficulty = new double[examples];
    for (int s = 0; s < subsets; s++) {
      means[s] = mean(values[s]);
      for (int e = 0; e < examples; e++) {
        difficulty[e] += values[s][e] / subsets;
      }
    }
    double grand = mean(means);
    double[][] residuals = new double[subsets][examples];
    double squares = 0;
    for (int s = 0; s < subsets; s++) {
      for (int e = 0; e < examples; e++) {
        residuals[s][e] = values[s][e] - means[s] - difficulty[e] + grand;
        squares += residuals[s][e] * residuals[s][e];
      }
    }
    double noise = squares / ((subsets - 1.0) * (examples - 1.0)) / examples;
    double observed = variance(means);
    double between = Math.max(0, observed - noise);
    return Optional.of(
        new Spread(
            Math.sqrt(observed),
            Math.sqrt(noise),
            Math.sqrt(between),
            beyond(observed, noise, directions(residuals), examples - 1.0)));
  }

  /**
   * The degrees of freedom of a variance between the means of subsets whose noise is correlated
   * (Satterthwaite, 1946): the squared trace of their covariance by the trace of its square, less
   * what the sample of examples adds to that in a normal distribution. From 1 to one less than
   * there are subsets.
   *
   * @param residuals [subsets][examples], whose rows and columns have the mean 0
   */
  private static double directions(double[][] residuals) {
    double n = residuals[0].length - 1.0;
    double trace = 0;
    double squares = 0;
    for (int s = 0; s < residuals.length; s++) {
      for (int other = 0; other < residuals.length; other++) {
        double covariance = dot(residuals[s], residuals[other]) / n;
        trace += s == other ? covariance : 0;
        squares += covariance * covariance;
      }
    }
    double unbiased = (squares - trace * trace / n) * n * n / ((n - 1) * (n + 2));
    double most = residuals.length - 1.0;
    return unbiased > 0 ? Math.max(1, Math.min(most, trace * trace / unbiased)) : most;
  }

  private static Estimate beyond(double observed, double noise, double freedom, double examples) {
    if (!(observed > 0)) {
      return new Estimate(0, 0, 0);
    }
    if (!(noise > 0)) {
      return new Estimate(1, 1, 1);
    }
    double ratio = observed / noise;
    FDistribution f = new FDistribution(freedom, freedom * examples);
    return new Estimate(
        Math.max(0, 1 - 1 / ratio),
        Math.max(0, 1 - f.inverseCumulativeProbability(UPPER) / ratio),
        Math.max(0, 1 - f.inverseCumulativeProbability(1 - UPPER) / ratio));
  }
}
