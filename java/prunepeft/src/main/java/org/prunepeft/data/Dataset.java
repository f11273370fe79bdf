package org.prunepeft.data;

import java.util.List;
import java.util.Objects;

/**
 * The examples of a task in three disjoint parts.
 *
 * @param name of the task
 * @param schema what the examples look like
 * @param train to fit weights to
 * @param validation to choose by
 * @param test to report on, and for nothing else
 */
public record Dataset(
    String name, Schema schema, List<Example> train, List<Example> validation, List<Example> test) {
  /**
   * Copies the lists and checks them.
   *
   * @throws IllegalArgumentException if an example has no target, not the target of such a task, or
   *     another number of texts
   */
  public Dataset {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(schema, "schema");
    train = checked("train", train, schema);
    validation = checked("validation", validation, schema);
    test = checked("test", test, schema);
  }

  private static List<Example> checked(String part, List<Example> examples, Schema schema) {
    for (int i = 0; i < examples.size(); i++) {
      Example example = examples.get(i);
      String fault = fault(example, schema);
      if (fault != null) {
        throw new IllegalArgumentException("%s (%s example %d)".formatted(fault, part, i));
      }
      if (schema.kind() == TaskKind.LANGUAGE_MODELING) {
        schema.requireAnswers(example);
      }
    }
    return List.copyOf(examples);
  }

  private static String fault(Example example, Schema schema) {
    double target = example.target();
    if (!example.labelled()) {
      return "an example needs a target, got none";
    }
    if ((example.pair() == null) != (schema.textColumns() == 1)) {
      return "an example must have as many texts as the task, %d".formatted(schema.textColumns());
    }
    if ((example.training() != null) != (schema.kind() == TaskKind.LANGUAGE_MODELING)) {
      return "training texts are for language models, which need nothing else";
    }
    if (schema.kind() == TaskKind.CLASSIFICATION
        && !(target >= 0 && target < schema.labels().size() && target == Math.rint(target))) {
      return "label must be a whole number from 0 to below %d, the number of classes, got %s"
          .formatted(schema.labels().size(), target);
    }
    return null;
  }

  /**
   * {@return names of the classes; an example's label is an index into it} None if no class is
   * predicted.
   */
  public List<String> labels() {
    return schema.labels();
  }
}
