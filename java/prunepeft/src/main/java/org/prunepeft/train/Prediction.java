package org.prunepeft.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What is predicted of one example: a class with its probability, or a number. Immutable. */
public final class Prediction {
  private final Predictions all;
  private final int index;

  Prediction(Predictions all, int index) {
    this.all = all;
    this.index = index;
  }

  /**
   * {@return the name of the class with the highest probability}
   *
   * @throws IllegalStateException if the task is a regression
   */
  public String label() {
    return all.schema().labels().get(all.label(index));
  }

  /**
   * {@return the probability of {@link #label}, in (0, 1]}
   *
   * @throws IllegalStateException if the task is a regression
   */
  public double probability() {
    return all.probabilities(index)[all.label(index)];
  }

  /**
   * {@return the probability of each class by its name, in the order of the schema}
   *
   * @throws IllegalStateException if the task is a regression
   */
  public Map<String, Double> probabilities() {
    double[] values = all.probabilities(index);
    List<String> labels = all.schema().labels();
    Map<String, Double> probabilities = new LinkedHashMap<>();
    for (int i = 0; i < values.length; i++) {
      probabilities.put(labels.get(i), values[i]);
    }
    return probabilities;
  }

  /**
   * {@return the predicted number}
   *
   * @throws IllegalStateException if the task is a classification
   */
  public double value() {
    return all.value(index);
  }
}
