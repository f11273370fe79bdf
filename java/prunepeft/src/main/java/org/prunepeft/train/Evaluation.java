package org.prunepeft.train;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;

/**
 * Quality on a labelled set.
 *
 * @param loss mean cross-entropy, of a language model's tokens; mean squared error for a regression
 * @param metrics by the task's order; the first is the primary one
 * @param predictions for each example, in the set's order
 */
public record Evaluation(double loss, Map<Metric, Double> metrics, Predictions predictions) {
  /**
   * Copies the map.
   *
   * @throws IllegalArgumentException if there is no metric
   */
  public Evaluation {
    metrics = Collections.unmodifiableMap(new LinkedHashMap<>(metrics));
    if (metrics.isEmpty()) {
      throw new IllegalArgumentException("an evaluation needs at least 1 metric, got none");
    }
  }

  /**
   * Compares predictions with what is right, by the task's metrics.
   *
   * @param predictions of examples whose targets are known
   * @param targets [n], 1 or more: numbers of the classes, or the numbers to be predicted; of a
   *     language model how many tokens of each example contribute to the loss
   * @return the measures, with the predictions
   * @throws IllegalArgumentException if the lengths differ, there are none, one is not known, or
   *     one is the number of no class
   */
  public static Evaluation of(Predictions predictions, double[] targets) {
    for (int i = 0; i < targets.length; i++) {
      if (Double.isNaN(targets[i])) {
        throw new IllegalArgumentException("example " + i + " has no label to compare with");
      }
      requireClass(predictions.schema(), i, targets[i]);
    }
    if (predictions.schema().kind() == TaskKind.LANGUAGE_MODELING
        && Arrays.stream(targets).sum() == 0) {
      throw new IllegalArgumentException(
          "no text has a token that contributes to the loss; are the completions empty, or cut off"
              + " by --max-seq-length?");
    }
    Map<Metric, Double> metrics = new LinkedHashMap<>();
    for (Metric metric : predictions.schema().metrics()) {
      metrics.put(metric, Metrics.of(metric, predictions, targets));
    }
    return new Evaluation(predictions.loss(targets), metrics, predictions);
  }

  private static void requireClass(Schema schema, int example, double target) {
    int classes = schema.labels().size();
    boolean isClass = target == (int) target && target >= 0 && target < classes;
    if (schema.kind() == TaskKind.CLASSIFICATION && !isClass) {
      throw new IllegalArgumentException(
          "example %d has the label %s; labels are numbers from 0 to %d, of %s"
              .formatted(example, target, classes - 1, schema.labels()));
    }
  }

  /** {@return how many examples} */
  public int examples() {
    return predictions.size();
  }

  /** {@return the value of the task's first metric, which the best epoch is chosen by} */
  public double primary() {
    return metrics.values().iterator().next();
  }

  /** {@return the task's first metric} */
  public Metric primaryMetric() {
    return metrics.keySet().iterator().next();
  }

  /** {@return the primary metric for a reader: {@code accuracy 79.75 %}} */
  public String primaryText() {
    return text(primaryMetric(), primary());
  }

  /** {@return the primary metric's value for a reader: {@code 79.75 %}} */
  public String primaryValueText() {
    return primaryMetric().format(primary());
  }

  /**
   * {@return all metrics for a reader: {@code accuracy 79.75 %, macro F1 66.17 %}} Those of one of
   * two classes name it: {@code F1 of 'spam' 91.20 %}.
   */
  public String text() {
    return metrics.entrySet().stream()
        .map(entry -> named(entry.getKey()) + " " + entry.getKey().format(entry.getValue()))
        .collect(Collectors.joining(", "));
  }

  private String named(Metric metric) {
    return switch (metric) {
      case F1, PRECISION, RECALL ->
          "%s of '%s'".formatted(metric.label(), predictions.schema().labels().get(1));
      default -> metric.label();
    };
  }

  private static String text(Metric metric, double value) {
    return metric.label() + " " + metric.format(value);
  }
}
