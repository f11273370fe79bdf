package org.prunepeft.train;

import java.util.function.ToDoubleBiFunction;
import org.prunepeft.data.Metric;

/**
 * How much better one set of predictions is than another of the same examples, with the 95 %
 * interval of a paired bootstrap: examples are drawn anew, with replacement, and both are measured
 * on the same draw.
 *
 * @param difference of the metric, the first less the second
 * @param low the 2.5 % quantile over the draws
 * @param high the 97.5 % quantile
 */
public record PairedDifference(double difference, double low, double high) {
  /** Of all draws, so that large sets of examples take no minutes. */
  private static final int DRAWN_EXAMPLES = 5_000_000;

  /** Fewer say too little of 2.5 % quantiles. */
  private static final int LEAST_DRAWS = 200;

  /** From a normal distribution's 2.5 % quantile to its 97.5 % quantile. */
  private static final double ERRORS_IN_INTERVAL = 2 * 1.96;

  /** {@return whether the difference is larger than its standard error, by the interval's width} */
  public boolean exceedsItsError() {
    return difference > (high - low) / ERRORS_IN_INTERVAL;
  }

  /** {@return whether zero is in the interval, so that no difference shows} */
  public boolean holdsZero() {
    return low <= 0 && high >= 0;
  }

  /**
   * Compares, always with the same draws.
   *
   * @param metric of the predictions' task
   * @param first predictions of n examples, 1 or more
   * @param second predictions of the same examples, for which the metric was measured too
   * @param targets [n] numbers of the classes, or the numbers to be predicted
   * @return the difference and its interval
   * @throws IllegalArgumentException if the lengths differ or are 0
   */
  public static PairedDifference of(
      Metric metric, Predictions first, Predictions second, double[] targets) {
    return of(metric, first, second, targets, Bootstrap.DRAWS);
  }

  /**
   * Compares by the task's first metric, with fewer draws where there are many examples.
   *
   * @param first of n examples, 1 or more
   * @param second of the same examples
   * @param targets [n] numbers of the classes, or the numbers to be predicted
   * @return the difference and its interval
   * @throws IllegalArgumentException if the lengths differ or are 0
   */
  public static PairedDifference of(Evaluation first, Evaluation second, double[] targets) {
    return of(
        first.primaryMetric(),
        first.predictions(),
        second.predictions(),
        targets,
        draws(targets.length));
  }

  /**
   * The same with another number of draws.
   *
   * @param metric of the predictions' task
   * @param first predictions of n examples, 1 or more
   * @param second predictions of the same examples, for which the metric was measured too
   * @param targets [n] numbers of the classes, or the numbers to be predicted
   * @param draws how many, 1 or more
   * @return the difference and its interval
   * @throws IllegalArgumentException if the lengths differ or are 0
   */
  public static PairedDifference of(
      Metric metric, Predictions first, Predictions second, double[] targets, int draws) {
    return of((each, of) -> Metrics.of(metric, each, of), first, second, targets, draws);
  }

  private static PairedDifference of(
      ToDoubleBiFunction<Predictions, double[]> measure,
      Predictions first,
      Predictions second,
      double[] targets,
      int draws) {
    double whole = measure.applyAsDouble(first, targets) - measure.applyAsDouble(second, targets);
    Bootstrap interval =
        Bootstrap.of(
            targets.length,
            draws,
            drawn -> {
              double[] of = Bootstrap.drawn(targets, drawn);
              return measure.applyAsDouble(first.of(drawn), of)
                  - measure.applyAsDouble(second.of(drawn), of);
            });
    return new PairedDifference(whole, interval.low(), interval.high());
  }

  /**
   * {@return how much higher the first one's loss is}
   *
   * @param first predictions of n examples, 1 or more
   * @param second predictions of the same examples
   * @param targets [n] numbers of the classes, or the numbers to be predicted
   * @throws IllegalArgumentException if the lengths differ or are 0
   */
  public static PairedDifference ofLosses(Predictions first, Predictions second, double[] targets) {
    return of(Predictions::loss, first, second, targets, draws(targets.length));
  }

  /** {@return of how many draws the interval comes} */
  static int draws(int examples) {
    return Math.max(LEAST_DRAWS, Math.min(Bootstrap.DRAWS, DRAWN_EXAMPLES / examples));
  }
}
