package org.prunepeft.train;

import java.util.Arrays;
import java.util.Locale;
import org.prunepeft.data.Metric;

/**
 * By how much the second of two classes must score above the first to be predicted.
 *
 * @param margin of the scores; 0: the class with the higher score is predicted
 */
public record DecisionThreshold(double margin) {
  /** So many are tried at most, at quantiles of the margins that there are. */
  private static final int MOST_TRIED = 400;

  /**
   * {@return the threshold with the highest metric, of several the one nearest to 0}
   *
   * @param metric of the task
   * @param predictions of labelled examples, of two classes
   * @param targets of as many, 1 or more
   * @throws IllegalArgumentException if there are not two classes, or no examples
   */
  public static DecisionThreshold choose(Metric metric, Predictions predictions, double[] targets) {
    requireTwo(predictions.schema().labels().size());
    float[] outputs = predictions.outputs();
    double[] margins = new double[targets.length];
    for (int i = 0; i < margins.length; i++) {
      margins[i] = (double) outputs[2 * i + 1] - outputs[2 * i];
    }
    double[] sorted = Arrays.stream(margins).sorted().distinct().toArray();
    double best = 0;
    double highest = Metrics.of(metric, predictions, targets);
    int gaps = sorted.length - 1;
    for (int i = 0; i < Math.min(MOST_TRIED, gaps); i++) {
      int gap = gaps <= MOST_TRIED ? i : (int) ((long) i * gaps / MOST_TRIED);
      double between = (sorted[gap] + sorted[gap + 1]) / 2;
      double value = Metrics.of(metric, shifted(predictions, between), targets);
      if (value > highest || value == highest && Math.abs(between) < Math.abs(best)) {
        highest = value;
        best = between;
      }
    }
    return new DecisionThreshold(best);
  }

  /**
   * Checks that a threshold can be chosen.
   *
   * @throws IllegalArgumentException if there are not two classes
   */
  public static void requireTwo(int classes) {
    if (classes != 2) {
      throw new IllegalArgumentException(
          "a decision threshold is between two classes, but there are %d; leave --tune-threshold out"
              .formatted(classes));
    }
  }

  /**
   * {@return predictions of two classes as they are with this threshold: the second class scores
   * lower by the margin}
   *
   * @param predictions of two classes
   */
  public Predictions applied(Predictions predictions) {
    return shifted(predictions, margin);
  }

  private static Predictions shifted(Predictions predictions, double margin) {
    float[] outputs = predictions.outputs();
    for (int i = 1; i < outputs.length; i += 2) {
      outputs[i] -= (float) margin;
    }
    return new Predictions(predictions.schema(), outputs);
  }

  /** {@return the probability of the second class from which it is predicted} */
  public double probability() {
    return 1 / (1 + Math.exp(-margin));
  }

  /** {@return the probability, such as 0.31} */
  @Override
  public String toString() {
    return String.format(Locale.ROOT, "%.2f", probability());
  }
}
