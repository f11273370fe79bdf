package org.prunepeft.train;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.search.Ranking;

/**
 * Measures of quality. Classes are numbers from 0; gold and predictions, or the two series of a
 * correlation, are arrays of one length, 1 or more, or an {@link IllegalArgumentException} is
 * thrown.
 */
public final class Metrics {
  private Metrics() {}

  /**
   * A metric of predictions.
   *
   * @param targets [n], 1 or more: numbers of the classes, or the numbers to be predicted; of a
   *     language model how many tokens of each example contribute to the loss
   * @throws IllegalArgumentException if the lengths differ or are 0
   * @throws IllegalStateException if the metric is not for the predictions' kind of task
   */
  public static double of(Metric metric, Predictions predictions, double[] targets) {
    TaskKind kind = predictions.schema().kind();
    if (kind == TaskKind.REGRESSION) {
      double[] values = predictions.values();
      return switch (metric) {
        case PEARSON -> pearson(targets, values);
        case SPEARMAN -> spearman(targets, values);
        case PEARSON_AND_SPEARMAN -> (pearson(targets, values) + spearman(targets, values)) / 2;
        default -> throw new IllegalStateException("no formula for " + metric);
      };
    }
    if (kind == TaskKind.LANGUAGE_MODELING) {
      checkLengths(predictions.size(), targets.length);
      return metric == Metric.LOG_LIKELIHOOD
          ? logLikelihood(predictions.values(), targets)
          : predictions.mean(metric);
    }
    int[] predicted = predictions.labels();
    int[] gold = Arrays.stream(targets).mapToInt(target -> (int) target).toArray();
    return switch (metric) {
      case ACCURACY -> accuracy(gold, predicted);
      case F1 -> f1(gold, predicted);
      case MACRO_F1 -> macroF1(gold, predicted);
      case MATTHEWS_CORRELATION -> matthews(gold, predicted);
      case PRECISION -> ClassReport.of(predictions, targets).precision(1);
      case RECALL -> ClassReport.of(predictions, targets).recall(1);
      case ROC_AUC -> rocAuc(gold, predictions);
      case ACCURACY_AND_F1 -> (accuracy(gold, predicted) + f1(gold, predicted)) / 2;
      default -> throw new IllegalStateException("no formula for " + metric);
    };
  }

  /**
   * Mean log-likelihood of a token over all examples; 0 where there is no token.
   *
   * @param means of each example
   * @param tokens how many each mean is over
   */
  static double logLikelihood(double[] means, double[] tokens) {
    checkLengths(means.length, tokens.length);
    double sum = 0;
    double count = 0;
    for (int i = 0; i < means.length; i++) {
      sum += means[i] * tokens[i];
      count += tokens[i];
    }
    return count == 0 ? 0 : sum / count;
  }

  /** Share of right predictions, 0 to 1. */
  public static double accuracy(int[] gold, int[] predicted) {
    checkLengths(gold.length, predicted.length);
    int right = 0;
    for (int i = 0; i < gold.length; i++) {
      if (gold[i] == predicted[i]) {
        right++;
      }
    }
    return (double) right / gold.length;
  }

  /** F1 = 2·TP / (2·TP + FP + FN) of class 1; 0 if neither gold nor predictions have it. */
  public static double f1(int[] gold, int[] predicted) {
    checkLengths(gold.length, predicted.length);
    int right = 0;
    int occurrences = 0;
    for (int i = 0; i < gold.length; i++) {
      right += gold[i] == 1 && predicted[i] == 1 ? 1 : 0;
      occurrences += (gold[i] == 1 ? 1 : 0) + (predicted[i] == 1 ? 1 : 0);
    }
    return occurrences == 0 ? 0 : 2.0 * right / occurrences;
  }

  /** Mean F1 = 2·TP / (2·TP + FP + FN) of the classes that occur in gold or predictions, 0 to 1. */
  public static double macroF1(int[] gold, int[] predicted) {
    Counts counts = Counts.of(gold, predicted);
    double sum = 0;
    int classes = 0;
    for (int k = 0; k < counts.right.length; k++) {
      // 2·TP + FP + FN: each side's occurrences count the true positives once.
      int occurrences = counts.gold[k] + counts.predicted[k];
      if (occurrences > 0) {
        sum += 2.0 * counts.right[k] / occurrences;
        classes++;
      }
    }
    return sum / classes;
  }

  /**
   * Matthews correlation of any number of classes (Gorodkin 2004), −1 to 1: (c·s − Σ pₖ·tₖ) / √((s²
   * − Σ pₖ²)·(s² − Σ tₖ²)), with s examples, c right ones, pₖ predicted and tₖ gold ones of class
   * k. 0 if all gold labels or all predictions are of one class.
   */
  public static double matthews(int[] gold, int[] predicted) {
    Counts counts = Counts.of(gold, predicted);
    double examples = gold.length;
    double right = 0;
    double both = 0;
    double predictedSquares = 0;
    double goldSquares = 0;
    for (int k = 0; k < counts.right.length; k++) {
      right += counts.right[k];
      both += (double) counts.predicted[k] * counts.gold[k];
      predictedSquares += (double) counts.predicted[k] * counts.predicted[k];
      goldSquares += (double) counts.gold[k] * counts.gold[k];
    }
    double squares = examples * examples;
    double spread = Math.sqrt(squares - predictedSquares) * Math.sqrt(squares - goldSquares);
    return spread == 0 ? 0 : (right * examples - both) / spread;
  }

  /**
   * Share of the pairs of an example of class 1 and one of class 0 in which the first has the
   * higher score, ties one half; one half where a class has no example.
   */
  private static double rocAuc(int[] gold, Predictions predictions) {
    checkLengths(gold.length, predictions.size());
    float[] outputs = predictions.outputs();
    double[] margins = new double[gold.length];
    for (int i = 0; i < margins.length; i++) {
      margins[i] = (double) outputs[2 * i + 1] - outputs[2 * i];
    }
    double[] ranks = Ranking.ascendingMeanRanks(margins);
    double sum = 0;
    double positive = 0;
    for (int i = 0; i < gold.length; i++) {
      sum += gold[i] == 1 ? ranks[i] : 0;
      positive += gold[i] == 1 ? 1 : 0;
    }
    double pairs = positive * (gold.length - positive);
    return pairs == 0 ? 0.5 : (sum - positive * (positive - 1) / 2) / pairs;
  }

  /** Pearson's linear correlation, −1 to 1; 0 if one of the series is constant. */
  public static double pearson(double[] x, double[] y) {
    checkLengths(x.length, y.length);
    if (constant(x) || constant(y)) {
      return 0;
    }
    double meanX = Arrays.stream(x).average().orElseThrow();
    double meanY = Arrays.stream(y).average().orElseThrow();
    double covariance = 0;
    double varianceX = 0;
    double varianceY = 0;
    for (int i = 0; i < x.length; i++) {
      covariance += (x[i] - meanX) * (y[i] - meanY);
      varianceX += (x[i] - meanX) * (x[i] - meanX);
      varianceY += (y[i] - meanY) * (y[i] - meanY);
    }
    double spread = Math.sqrt(varianceX) * Math.sqrt(varianceY);
    return spread == 0 ? 0 : Math.max(-1, Math.min(1, covariance / spread));
  }

  /** The mean of equal numbers may differ from them by rounding. */
  private static boolean constant(double[] values) {
    return Arrays.stream(values).allMatch(value -> value == values[0]);
  }

  /** Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank. */
  public static double spearman(double[] x, double[] y) {
    checkLengths(x.length, y.length);
    return pearson(Ranking.ascendingMeanRanks(x), Ranking.ascendingMeanRanks(y));
  }

  private static void checkLengths(int first, int second) {
    if (first != second || first == 0) {
      throw new IllegalArgumentException(
          "two arrays of one length, 1 or more, are needed, got lengths %d and %d"
              .formatted(first, second));
    }
  }

  /** Occurrences of each class. */
  private record Counts(int[] gold, int[] predicted, int[] right) {
    static Counts of(int[] gold, int[] predicted) {
      checkLengths(gold.length, predicted.length);
      int classes =
          1 + IntStream.concat(Arrays.stream(gold), Arrays.stream(predicted)).max().getAsInt();
      Counts counts = new Counts(new int[classes], new int[classes], new int[classes]);
      for (int i = 0; i < gold.length; i++) {
        counts.gold[gold[i]]++;
        counts.predicted[predicted[i]]++;
        if (gold[i] == predicted[i]) {
          counts.right[gold[i]]++;
        }
      }
      return counts;
    }
  }
}
