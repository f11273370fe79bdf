package org.prunepeft.study;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.stream.Stream;
import org.prunepeft.train.Bootstrap;

/**
 * How much better one method is than another, from runs in pairs: of the same seed, and so of the
 * same examples.
 *
 * @param pairs how many
 * @param mean of the differences, the first less the second
 * @param intervals of the mean; null: a group of pairs has but one, or all of it differ by the
 *     same, which says nothing of their spread
 * @param p how probable a mean at least so far from zero is if the methods are alike, by Student's
 *     t, the larger one where there are two intervals by it; NaN where there is no interval
 * @param unknown why there is no interval; null: there is
 */
public record DifferenceOverSeeds(
    int pairs, double mean, Intervals intervals, double p, Unknown unknown) {
  /**
   * Intervals of a mean.
   *
   * @param student by Student's t
   * @param bootstrap by drawing pairs anew, with replacement; null over several groups. Of few
   *     pairs it is too narrow: of three it is their range, which holds the true mean in 75 % of
   *     cases
   * @param bySeed over several groups of the same seeds: by Student's t of each seed's mean over
   *     the groups, which holds also where a seed shifts all groups alike; else null
   */
  public record Intervals(Interval student, Interval bootstrap, Interval bySeed) {}

  /** Why there is no interval. */
  public enum Unknown {
    /** There is one pair. */
    ONE_PAIR("one seed says nothing"),
    /** All pairs differ by the same. */
    ALL_THE_SAME("all seeds differ by the same"),
    /** One of several groups has one pair. */
    GROUP_OF_ONE_PAIR("a task has one seed"),
    /** In one of several groups all pairs differ by the same. */
    GROUP_OF_THE_SAME("all seeds of a task differ by the same");

    private final String words;

    Unknown(String words) {
      this.words = words;
    }

    /** {@return it in words} */
    public String words() {
      return words;
    }
  }

  /** So many differences that are all 0 may be so by chance. */
  private static final int FEW = 3;

  /** Two seeds' means have an interval that is so wide that it says nothing. */
  private static final int LEAST_SEEDS = 3;

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
      Unknown why = n == 1 ? Unknown.ONE_PAIR : Unknown.ALL_THE_SAME;
      return new DifferenceOverSeeds(n, sample.mean(), null, Double.NaN, why);
    }
    Bootstrap drawn =
        Bootstrap.of(
            n, indices -> Arrays.stream(indices).mapToDouble(i -> differences[i]).sum() / n);
    return new DifferenceOverSeeds(
        n,
        sample.mean(),
        new Intervals(sample.interval(), new Interval(drawn.low(), drawn.high()), null),
        p(sample),
        null);
  }

  /** {@return the mean's interval by Student's t; null: there is none} */
  public Interval student() {
    return intervals == null ? null : intervals.student;
  }

  /** {@return that by a bootstrap; null: there is none} */
  public Interval bootstrap() {
    return intervals == null ? null : intervals.bootstrap;
  }

  /** {@return that of the seeds' means over several groups; null: there is none} */
  public Interval bySeed() {
    return intervals == null ? null : intervals.bySeed;
  }

  private static double p(Sample sample) {
    int n = sample.count();
    return Student.p(sample.mean(), sample.deviation() / Math.sqrt(n), n - 1.0);
  }

  /**
   * Of one pair, or where the difference is the same in all, but for rounding. Of more than a few
   * pairs no difference at all is one.
   */
  private static boolean saysNothingOfItsSpread(Sample sample) {
    return sample.count() == 1
        || sample.deviation() < ROUNDING
            && (Math.abs(sample.mean()) > ROUNDING || sample.count() <= FEW);
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
   * freedom, as if a seed did nothing to several tasks alike. Where tasks have the same seeds there
   * is also that of the seeds' means, which does not suppose it. A task whose pairs all differ by
   * the same is no more known than one of a single pair.
   *
   * @param tasks the differences of each task, by seed, 1 or more
   * @throws IllegalArgumentException if there are no tasks, or one has no differences
   */
  public static DifferenceOverSeeds pooled(List<? extends SortedMap<Long, Double>> tasks) {
    List<Sample> samples =
        tasks.stream()
            .map(task -> Sample.of(withoutRounding(values(task.values().stream()))))
            .toList();
    int k = samples.size();
    if (k == 0) {
      throw new IllegalArgumentException("a mean over tasks needs 1 or more, got none");
    }
    double mean = samples.stream().mapToDouble(Sample::mean).sum() / k;
    int pairs = samples.stream().mapToInt(Sample::count).sum();
    if (samples.stream().anyMatch(DifferenceOverSeeds::saysNothingOfItsSpread)) {
      Unknown why =
          samples.stream().anyMatch(sample -> sample.count() == 1)
              ? Unknown.GROUP_OF_ONE_PAIR
              : Unknown.GROUP_OF_THE_SAME;
      return new DifferenceOverSeeds(pairs, mean, null, Double.NaN, why);
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
    double p = Student.p(mean, error, freedom);
    Optional<Sample> means = seedMeans(tasks);
    return new DifferenceOverSeeds(
        pairs,
        mean,
        new Intervals(
            Student.interval(mean, error, freedom), null, means.map(Sample::interval).orElse(null)),
        means.map(own -> Math.max(p, p(own))).orElse(p),
        null);
  }

  /**
   * Each seed's mean over several tasks, if all have the same seeds, enough of them, and the means
   * a spread.
   */
  private static Optional<Sample> seedMeans(List<? extends SortedMap<Long, Double>> tasks) {
    Set<Long> seeds = tasks.get(0).keySet();
    if (tasks.size() == 1
        || seeds.size() < LEAST_SEEDS
        || tasks.stream().anyMatch(task -> !task.keySet().equals(seeds))) {
      return Optional.empty();
    }
    Sample means =
        Sample.of(
            withoutRounding(
                values(
                    seeds.stream()
                        .map(
                            seed ->
                                tasks.stream().mapToDouble(task -> task.get(seed)).sum()
                                    / tasks.size()))));
    return Optional.of(means).filter(own -> !saysNothingOfItsSpread(own));
  }

  private static double[] values(Stream<Double> values) {
    return values.mapToDouble(Double::doubleValue).toArray();
  }
}
