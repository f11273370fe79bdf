package org.prunepeft.study;

import java.util.Arrays;
import java.util.List;
import org.prunepeft.train.Bootstrap;

/**
 * How much better one method is than another, from runs in pairs: of the same seed, and so of the
 * same examples.
 *
 * @param pairs how many
 * @param mean of the differences, the first less the second
 * @param student its interval by Student's t; null: a group of pairs has but one, or all of it
 *     differ by the same, which says nothing of their spread
 * @param bootstrap its interval by drawing pairs anew, with replacement; null as well, and over
 *     several groups. Of few pairs it is too narrow: of three it is their range, which holds the
 *     true mean in 75 % of cases
 * @param p how probable a mean at least so far from zero is if the methods are alike, by Student's
 *     t; NaN where there is no interval
 */
public record DifferenceOverSeeds(
    int pairs, double mean, Interval student, Interval bootstrap, double p) {
  /** Far below the least step of a metric of some thousand examples. */
  private static final double ROUNDING = 1e-12;

  /**
   * {@return the difference of values in pairs}
   *
   * @param first of one method, by seed, 1 or more
   * @param second of the other, of the same seeds in the same order
   * @throws IllegalArgumentException if there are none, or not as many
   */
  public static DifferenceOverSeeds of(double[] first, double[] second) {
    double[] differences = differences(first, second);
    Sample sample = Sample.of(differences);
    int n = differences.length;
    if (saysNothingOfItsSpread(sample)) {
      return new DifferenceOverSeeds(n, sample.mean(), null, null, Double.NaN);
    }
    Bootstrap drawn =
        Bootstrap.of(
            n, indices -> Arrays.stream(indices).mapToDouble(i -> differences[i]).sum() / n);
    return new DifferenceOverSeeds(
        n,
        sample.mean(),
        sample.interval(),
        new Interval(drawn.low(), drawn.high()),
        Student.p(sample.mean(), sample.deviation() / Math.sqrt(n), n - 1.0));
  }

  /**
   * Of one pair, or where the difference is the same in all, but for rounding. No difference at all
   * is one.
   */
  private static boolean saysNothingOfItsSpread(Sample sample) {
    return sample.count() == 1
        || Math.abs(sample.mean()) > ROUNDING && sample.deviation() < ROUNDING;
  }

  /**
   * {@return values less those that they are paired with; 0 where it is of rounding alone}
   *
   * @throws IllegalArgumentException if there are not as many
   */
  static double[] differences(double[] first, double[] second) {
    if (first.length != second.length) {
      throw new IllegalArgumentException(
          "values in pairs must be as many on both sides, got %d and %d"
              .formatted(first.length, second.length));
    }
    double[] differences = first.clone();
    Arrays.setAll(differences, i -> first[i] - second[i]);
    return withoutRounding(differences);
  }

  /** Those that are of rounding alone are none: of equal values there is no order. */
  private static double[] withoutRounding(double[] differences) {
    return Arrays.stream(differences).map(one -> Math.abs(one) < ROUNDING ? 0 : one).toArray();
  }

  /**
   * {@return the mean difference over several tasks, each of which counts alike} The interval is of
   * these tasks: its variance is that over seeds within each, with Satterthwaite's degrees of
   * freedom. A task whose pairs all differ by the same is no more known than one of a single pair.
   *
   * @param tasks the differences of each task, by seed, 1 or more
   * @throws IllegalArgumentException if there are no tasks, or one has no differences
   */
  public static DifferenceOverSeeds pooled(List<double[]> tasks) {
    List<Sample> samples = tasks.stream().map(task -> Sample.of(withoutRounding(task))).toList();
    int k = samples.size();
    if (k == 0) {
      throw new IllegalArgumentException("a mean over tasks needs 1 or more, got none");
    }
    double mean = samples.stream().mapToDouble(Sample::mean).sum() / k;
    int pairs = samples.stream().mapToInt(Sample::count).sum();
    if (samples.stream().anyMatch(DifferenceOverSeeds::saysNothingOfItsSpread)) {
      return new DifferenceOverSeeds(pairs, mean, null, null, Double.NaN);
    }
    double variance = 0;
    double denominator = 0;
    for (Sample sample : samples) {
      double own = sample.deviation() * sample.deviation() / sample.count();
      variance += own;
      denominator += own * own / (sample.count() - 1);
    }
    double error = Math.sqrt(variance) / k;
    double freedom = denominator > 0 ? variance * variance / denominator : pairs - k;
    return new DifferenceOverSeeds(
        pairs, mean, Student.interval(mean, error, freedom), null, Student.p(mean, error, freedom));
  }
}
