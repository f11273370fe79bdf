package org.prunepeft.train;

import org.prunepeft.data.Metric;

/**
 * A metric of predictions with the 95 % interval of a bootstrap over the examples: how much of it
 * is owed to the examples that happen to be in the test part. Seeds and training data vary it too.
 *
 * @param value of the metric
 * @param low the 2.5 % quantile over the draws
 * @param high the 97.5 % quantile
 */
public record MetricInterval(double value, double low, double high) {
  /**
   * {@return a metric and its interval, always by the same draws}
   *
   * @param metric of the predictions' task
   * @param predictions of n examples, 1 or more
   * @param targets [n] numbers of the classes, or the numbers to be predicted
   * @throws IllegalArgumentException if the lengths differ or are 0
   */
  public static MetricInterval of(Metric metric, Predictions predictions, double[] targets) {
    double whole = Metrics.of(metric, predictions, targets);
    Bootstrap interval =
        Bootstrap.of(
            targets.length,
            drawn -> Metrics.of(metric, predictions.of(drawn), Bootstrap.drawn(targets, drawn)));
    return new MetricInterval(whole, interval.low(), interval.high());
  }
}
