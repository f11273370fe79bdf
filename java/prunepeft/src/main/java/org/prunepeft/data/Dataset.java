package org.prunepeft.data;

import java.util.List;
import java.util.Objects;

/**
 * The examples of a task in three disjoint parts.
 *
 * @param name of the task
 * @param labels names of the classes; an example's label is an index into it
 * @param train to fit weights to
 * @param validation to choose by
 * @param test to report on, and for nothing else
 */
public record Dataset(
    String name,
    List<String> labels,
    List<Example> train,
    List<Example> validation,
    List<Example> test) {
  /**
   * Copies the lists and checks the labels.
   *
   * @throws IllegalArgumentException if an example's label has no name
   */
  public Dataset {
    Objects.requireNonNull(name, "name");
    labels = List.copyOf(labels);
    train = checked("train", train, labels.size());
    validation = checked("validation", validation, labels.size());
    test = checked("test", test, labels.size());
  }

  private static List<Example> checked(String part, List<Example> examples, int classes) {
    for (int i = 0; i < examples.size(); i++) {
      int label = examples.get(i).label();
      if (label >= classes) {
        throw new IllegalArgumentException(
            "label must be below %d, the number of classes, got %d (%s example %d)"
                .formatted(classes, label, part, i));
      }
    }
    return List.copyOf(examples);
  }
}
