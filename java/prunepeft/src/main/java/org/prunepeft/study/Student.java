package org.prunepeft.study;

import org.hipparchus.distribution.continuous.TDistribution;

/** Student's t. */
final class Student {
  private static final double UPPER = 0.975;

  private Student() {}

  /** The 95 % interval around a mean with this standard error. */
  static Interval interval(double mean, double error, double degreesOfFreedom) {
    double half = new TDistribution(degreesOfFreedom).inverseCumulativeProbability(UPPER) * error;
    return new Interval(mean - half, mean + half);
  }

  /** How probable a mean at least so far from zero is if the true one is zero. */
  static double p(double mean, double error, double degreesOfFreedom) {
    if (!(error > 0)) {
      return mean == 0 ? 1 : 0;
    }
    return 2 * new TDistribution(degreesOfFreedom).cumulativeProbability(-Math.abs(mean) / error);
  }
}
