package org.prunepeft.data;

import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What examples look like, what is predicted from them, and how well that is done is measured.
 *
 * @param kind whether a class, a number or the text itself is predicted
 * @param textColumns texts an example has, 1 or 2
 * @param labels names of the classes, 2 or more, by their numbers; none if no class is predicted
 * @param metrics what is measured, 1 or more; the first, the task's official one, is what the best
 *     epoch is chosen by
 */
public record Schema(TaskKind kind, int textColumns, List<String> labels, List<Metric> metrics) {
  /** The key of {@link #toMap} whose value is {@link TaskKind#problemType}. */
  public static final String PROBLEM_TYPE = "problem_type";

  private static final String LABELS = "labels";
  private static final String TEXT_COLUMNS = "text_columns";
  private static final String METRICS = "metrics";

  /**
   * Copies the lists and checks the values.
   *
   * @throws IllegalArgumentException if one is out of range, a label occurs twice, or a metric is
   *     not for such a task
   */
  public Schema {
    Objects.requireNonNull(kind, "kind");
    labels = List.copyOf(labels);
    metrics = List.copyOf(metrics);
    if (textColumns < 1 || textColumns > 2) {
      throw new IllegalArgumentException("text columns must be 1 or 2, got " + textColumns);
    }
    if (kind == TaskKind.CLASSIFICATION ? labels.size() < 2 : !labels.isEmpty()) {
      throw new IllegalArgumentException(
          "a classification needs at least 2 classes and other tasks none, got %s for a %s"
              .formatted(labels.size(), kind.problemType()));
    }
    if (new HashSet<>(labels).size() < labels.size()) {
      throw new IllegalArgumentException("labels must differ, got " + labels);
    }
    if (metrics.isEmpty()) {
      throw new IllegalArgumentException("a task needs at least 1 metric, got none");
    }
    for (Metric metric : metrics) {
      if (!metric.measures(kind) || metric.binary() && labels.size() != 2) {
        throw new IllegalArgumentException(
            "%s does not measure a %s of %d classes%s"
                .formatted(
                    metric.label(),
                    kind.problemType(),
                    labels.size(),
                    metric.measures(kind) ? ", only one of two; take macro_f1 or accuracy" : ""));
      }
    }
  }

  /**
   * {@return a task's, with these classes}
   *
   * @param task whose kind, texts and metrics it takes
   * @param labels names of the classes; none for a regression
   */
  public static Schema of(Task task, List<String> labels) {
    return new Schema(task.kind(), task.textColumns(), labels, task.metrics());
  }

  /**
   * {@return a classification of single texts by accuracy and macro F1}
   *
   * @param labels names of the classes, 2 or more; an example's label is an index into them
   */
  public static Schema classification(List<String> labels) {
    return new Schema(
        TaskKind.CLASSIFICATION, 1, labels, List.of(Metric.ACCURACY, Metric.MACRO_F1));
  }

  /** {@return a regression of single texts by Pearson's and Spearman's correlation} */
  public static Schema regression() {
    return new Schema(TaskKind.REGRESSION, 1, List.of(), List.of(Metric.PEARSON, Metric.SPEARMAN));
  }

  /** {@return a language model's, by log-likelihood} */
  public static Schema languageModeling() {
    return new Schema(TaskKind.LANGUAGE_MODELING, 1, List.of(), List.of(Metric.LOG_LIKELIHOOD));
  }

  /** {@return what the best epoch is chosen by} */
  public Metric primary() {
    return metrics.get(0);
  }

  /**
   * {@return numbers that are given for an example: a score for each class, or the one number; of a
   * language model the mean log-likelihood of a token that contributes to the loss, and what each
   * further metric says of it, 1 or 0}
   */
  public int outputs() {
    return switch (kind) {
      case CLASSIFICATION -> labels.size();
      case REGRESSION -> 1;
      case LANGUAGE_MODELING -> 1 + answerMetrics().size();
    };
  }

  /** Those of a language model that need its answers. */
  private List<Metric> answerMetrics() {
    return metrics.stream().filter(metric -> metric != Metric.LOG_LIKELIHOOD).toList();
  }

  /**
   * {@return which of a language model's outputs a metric is the mean of; 0 is the log-likelihood}
   *
   * @param metric one of {@link #metrics}
   */
  public int column(Metric metric) {
    return 1 + answerMetrics().indexOf(metric);
  }

  /**
   * {@return the same with other metrics}
   *
   * @param others 1 or more
   * @throws IllegalArgumentException if one is not for such a task
   */
  public Schema withMetrics(List<Metric> others) {
    return new Schema(kind, textColumns, labels, others);
  }

  /**
   * Checks that an example of a language model has what the metrics need.
   *
   * @throws IllegalArgumentException if it has not; names the metric and the columns that it takes
   */
  public void requireAnswers(Example example) {
    for (Metric metric : answerMetrics()) {
      if (metric.chooses() && example.choices() == null) {
        throw new IllegalArgumentException(
            "%s of a language model needs questions with answers to choose from, in question, choices and answerKey or answer, or in ctx, endings and label; take another --metric"
                .formatted(metric.label()));
      }
      if (metric == Metric.EXACT_MATCH && example.training().prompt().isEmpty()) {
        throw new IllegalArgumentException(
            "%s needs texts that begin with a prompt, in prompt and completion, question and answer, instruction and output, or messages; take another --metric"
                .formatted(metric.label()));
      }
    }
  }

  /**
   * As keys of a run's configuration: {@link #fromMap} reads them.
   *
   * @return members in order
   */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put(PROBLEM_TYPE, kind.problemType());
    map.put(TEXT_COLUMNS, textColumns);
    map.put(LABELS, labels);
    map.put(METRICS, metrics.stream().map(Metric::key).toList());
    return map;
  }

  /**
   * Reads the keys that {@link #toMap} writes; others are left alone.
   *
   * @param map as parsed from JSON
   * @return the schema
   * @throws IllegalArgumentException if a key is missing or has no fitting value
   */
  public static Schema fromMap(Map<String, ?> map) {
    String problemType = value(map, PROBLEM_TYPE, String.class);
    TaskKind kind =
        Arrays.stream(TaskKind.values())
            .filter(known -> known.problemType().equals(problemType))
            .findFirst()
            .orElseThrow(() -> unfit(PROBLEM_TYPE, problemType));
    return new Schema(
        kind,
        value(map, TEXT_COLUMNS, Number.class).intValue(),
        strings(map, LABELS),
        strings(map, METRICS).stream().map(Metric::byKey).toList());
  }

  private static List<String> strings(Map<String, ?> map, String key) {
    List<?> values = value(map, key, List.class);
    return values.stream().map(String::valueOf).toList();
  }

  private static <T> T value(Map<String, ?> map, String key, Class<T> type) {
    Object value = map.get(key);
    if (!type.isInstance(value)) {
      throw unfit(key, value);
    }
    return type.cast(value);
  }

  private static IllegalArgumentException unfit(String key, Object value) {
    return new IllegalArgumentException(
        "%s describes no task, got %s".formatted(key, value == null ? "nothing" : value));
  }
}
