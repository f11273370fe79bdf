package org.prunepeft.train;

import java.util.Arrays;
import java.util.List;
import org.prunepeft.data.TaskKind;

/**
 * How each class is predicted.
 *
 * @param labels names of the classes
 * @param confusion [label][prediction] examples
 */
public record ClassReport(List<String> labels, int[][] confusion) {
  /**
   * {@return the report of some predictions}
   *
   * @param predictions of classes
   * @param targets [n], 1 or more: numbers of the classes
   * @throws IllegalArgumentException if the lengths differ, or the task is a regression
   */
  public static ClassReport of(Predictions predictions, double[] targets) {
    if (predictions.schema().kind() != TaskKind.CLASSIFICATION
        || predictions.size() != targets.length) {
      throw new IllegalArgumentException(
          "a report needs %d targets of classes, got %d"
              .formatted(predictions.size(), targets.length));
    }
    List<String> labels = predictions.schema().labels();
    int[][] confusion = new int[labels.size()][labels.size()];
    for (int i = 0; i < targets.length; i++) {
      confusion[(int) targets[i]][predictions.label(i)]++;
    }
    return new ClassReport(labels, confusion);
  }

  /** {@return examples of a class} */
  public int examples(int label) {
    return Arrays.stream(confusion[label]).sum();
  }

  private int predicted(int label) {
    return Arrays.stream(confusion).mapToInt(row -> row[label]).sum();
  }

  /** {@return the share of a class among what is predicted as it; 0 where nothing is} */
  public double precision(int label) {
    return share(confusion[label][label], predicted(label));
  }

  /** {@return the share of a class's examples that is predicted as it; 0 where there are none} */
  public double recall(int label) {
    return share(confusion[label][label], examples(label));
  }

  /** {@return 2·TP / (2·TP + FP + FN) of a class; 0 where it does not occur} */
  public double f1(int label) {
    return share(2 * confusion[label][label], predicted(label) + examples(label));
  }

  private static double share(int part, int whole) {
    return whole == 0 ? 0 : (double) part / whole;
  }
}
