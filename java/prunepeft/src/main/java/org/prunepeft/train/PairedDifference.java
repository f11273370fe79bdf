package org.prunepeft.train;

import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;

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
   * Compares, always with the same draws.
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
    double whole = Metrics.of(metric, first, targets) - Metrics.of(metric, second, targets);
    Bootstrap interval =
        Bootstrap.of(
            targets.length,
            draws,
            drawn -> {
              double[] of = Bootstrap.drawn(targets, drawn);
              return Metrics.of(metric, first.of(drawn), of)
                  - Metrics.of(metric, second.of(drawn), of);
            });
    return new PairedDifference(whole, interval.low(), interval.high());
  }

  /**
   * {@return how much higher the first one's loss is, with the interval of a mean of differences:
   * 1.96 standard errors each way}
   *
   * @param first predictions of n examples, 1 or more
   * @param second predictions of the same examples
   * @param targets [n] numbers of the classes, or the numbers to be predicted; of a language model
   *     tokens, 1 or more in all
   */
  public static PairedDifference ofLosses(Predictions first, Predictions second, double[] targets) {
    boolean tokens = first.schema().kind() == TaskKind.LANGUAGE_MODELING;
    double[] differences = new double[targets.length];
    double sum = 0;
    double weights = 0;
    for (int i = 0; i < targets.length; i++) {
      differences[i] = first.loss(i, targets[i]) - second.loss(i, targets[i]);
      double weight = tokens ? targets[i] : 1;
      sum += weight * differences[i];
      weights += weight;
    }
    double mean = sum / weights;
    double squares = 0;
    for (int i = 0; i < targets.length; i++) {
      double off = (tokens ? targets[i] : 1) * (differences[i] - mean);
      squares += off * off;
    }
    double half = ERRORS_IN_INTERVAL / 2 * Math.sqrt(squares) / weights;
    return new PairedDifference(mean, mean - half, mean + half);
  }

  /** {@return of how many draws the interval comes} */
  static int draws(int examples) {
    return Math.max(LEAST_DRAWS, Math.min(Bootstrap.DRAWS, DRAWN_EXAMPLES / examples));
  }
}
