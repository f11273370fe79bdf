package org.prunepeft.train;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.text.Required;

/**
 * How much the examples of each class count in the loss.
 *
 * @param balanced whether all classes count the same together, however many examples they have
 * @param weights of an example of each class, in the order of the labels, above 0; none: all count
 *     the same, or are balanced
 */
public record ClassWeights(boolean balanced, List<Double> weights) {
  /** All examples count the same. */
  public static final ClassWeights NONE = new ClassWeights(false, List.of());

  /** All classes count the same. */
  public static final ClassWeights BALANCED = new ClassWeights(true, List.of());

  /**
   * Copies the list and checks it.
   *
   * @throws IllegalArgumentException if a weight is not above 0, or there are some for balanced
   *     classes
   */
  public ClassWeights {
    Required.present("weights", weights);
    weights = List.copyOf(weights);
    for (double weight : weights) {
      if (!(weight > 0 && Double.isFinite(weight))) {
        throw new IllegalArgumentException("a class's weight must be above 0, got " + weight);
      }
    }
    if (balanced && !weights.isEmpty()) {
      throw new IllegalArgumentException("balanced classes have no weights of their own");
    }
  }

  /**
   * {@return what {@link #toString} has written}
   *
   * @param text none, balanced, or weights between commas
   * @throws IllegalArgumentException if it is none of these
   */
  public static ClassWeights byName(String text) {
    if (text.equals("none")) {
      return NONE;
    }
    if (text.equals("balanced")) {
      return BALANCED;
    }
    try {
      return new ClassWeights(
          false, Arrays.stream(text.split(",")).map(String::strip).map(Double::valueOf).toList());
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "class weights must be none, balanced, or a number for each class such as 1,2.5, got '%s'"
              .formatted(text),
          e);
    }
  }

  /**
   * {@return the weight of an example of each class, whose mean over the examples is 1; null: all
   * count the same}
   *
   * @param schema of the task
   * @param targets of the training examples, 1 or more
   * @throws IllegalArgumentException if there are weights and the task has no classes, or has
   *     another number of classes
   */
  public double[] of(Schema schema, double[] targets) {
    if (equals(NONE)) {
      return null;
    }
    if (schema.kind() != TaskKind.CLASSIFICATION) {
      throw new IllegalArgumentException(
          "class weights are for classes, but the task is a %s; leave --class-weights out"
              .formatted(schema.kind().problemType()));
    }
    int classes = schema.labels().size();
    if (!balanced && weights.size() != classes) {
      throw new IllegalArgumentException(
          "there are %d classes, %s, but %d class weights"
              .formatted(classes, schema.labels(), weights.size()));
    }
    double[] counts = new double[classes];
    for (double target : targets) {
      counts[(int) target]++;
    }
    double[] own = new double[classes];
    double sum = 0;
    for (int k = 0; k < classes; k++) {
      own[k] = balanced ? 1 / Math.max(1, counts[k]) : weights.get(k);
      sum += own[k] * counts[k];
    }
    for (int k = 0; k < classes; k++) {
      own[k] *= targets.length / sum;
    }
    return own;
  }

  /** {@return none, balanced, or the weights between commas} */
  @Override
  public String toString() {
    return balanced
        ? "balanced"
        : weights.isEmpty()
            ? "none"
            : weights.stream().map(String::valueOf).collect(Collectors.joining(","));
  }
}
