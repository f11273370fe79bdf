package org.prunepeft.study;

import java.util.Arrays;

/**
 * A value over seeds.
 *
 * @param count how many seeds, 1 or more
 * @param mean over them
 * @param deviation standard deviation of a sample (n − 1); 0 for one seed
 * @param interval of the mean, by Student's t; null: there is but one seed
 */
public record Sample(int count, double mean, double deviation, Interval interval) {
  /**
   * {@return what values say}
   *
   * @param values 1 or more
   * @throws IllegalArgumentException if there are none
   */
  public static Sample of(double... values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("a sample has 1 value or more, got none");
    }
    int n = values.length;
    double mean = Arrays.stream(values).sum() / n;
    if (n == 1) {
      return new Sample(1, mean, 0, null);
    }
    double deviation = Math.sqrt(variance(values, mean));
    return new Sample(
        n, mean, deviation, Student.interval(mean, deviation / Math.sqrt(n), n - 1.0));
  }

  private static double variance(double[] values, double mean) {
    return Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum()
        / (values.length - 1);
  }
}
