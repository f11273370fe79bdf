package org.prunepeft.data;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.prunepeft.text.Spelling;

/** A measure of quality; more is better. Names are those of Hugging Face's {@code evaluate}. */
public enum Metric {
  /**
   * Share of right predictions; of a language model, share of questions whose right answer is the
   * most probable of those to choose from.
   */
  ACCURACY("accuracy", "accuracy", TaskKind.CLASSIFICATION, true),
  /** F1 of class 1 of two. */
  F1("f1", "F1", TaskKind.CLASSIFICATION, true),
  /** Mean F1 of the classes. */
  MACRO_F1("macro_f1", "macro F1", TaskKind.CLASSIFICATION, true),
  /** Share of class 1 of two among what is predicted as it. */
  PRECISION("precision", "precision", TaskKind.CLASSIFICATION, true),
  /** Share of the examples of class 1 of two that are predicted as it. */
  RECALL("recall", "recall", TaskKind.CLASSIFICATION, true),
  /** Area under the receiver operating characteristic of class 1 of two. */
  ROC_AUC("roc_auc", "ROC AUC", TaskKind.CLASSIFICATION, false),
  /** Matthews correlation. */
  MATTHEWS_CORRELATION(
      "matthews_correlation", "Matthews correlation", TaskKind.CLASSIFICATION, false),
  /** Mean of accuracy and {@link #F1}: GLUE's score for MRPC and QQP. */
  ACCURACY_AND_F1("accuracy_and_f1", "mean of accuracy and F1", TaskKind.CLASSIFICATION, true),
  /** Pearson's correlation. */
  PEARSON("pearson", "Pearson correlation", TaskKind.REGRESSION, false),
  /** Spearman's rank correlation. */
  SPEARMAN("spearmanr", "Spearman correlation", TaskKind.REGRESSION, false),
  /** Mean of both correlations: GLUE's score for STS-B. */
  PEARSON_AND_SPEARMAN(
      "pearson_and_spearmanr",
      "mean of Pearson and Spearman correlation",
      TaskKind.REGRESSION,
      false),
  /**
   * Mean log-likelihood of a token that contributes to the loss: the logarithm of the probability
   * that the model gives it. Perplexity is the exponential of its negative.
   */
  LOG_LIKELIHOOD("log_likelihood", "log-likelihood", TaskKind.LANGUAGE_MODELING, false),
  /**
   * Share of questions whose right answer has the highest log-likelihood by character: {@code
   * acc_norm} of EleutherAI's evaluation harness.
   */
  ACCURACY_NORM("acc_norm", "length-normalised accuracy", TaskKind.LANGUAGE_MODELING, true),
  /** Share of answers that a language model writes as they are wanted. */
  EXACT_MATCH("exact_match", "exact match", TaskKind.LANGUAGE_MODELING, true);

  private final String key;
  private final String label;
  private final TaskKind kind;
  private final boolean share;

  Metric(String key, String label, TaskKind kind, boolean share) {
    this.key = key;
    this.label = label;
    this.kind = kind;
    this.share = share;
  }

  /** {@return its name in files, such as {@code matthews_correlation}} */
  public String key() {
    return key;
  }

  /** {@return its name in text, such as {@code Matthews correlation}} */
  public String label() {
    return label;
  }

  /**
   * {@return whether it measures such a task}
   *
   * @param task classification, regression or a language model's
   */
  public boolean measures(TaskKind task) {
    return task == kind || this == ACCURACY && task == TaskKind.LANGUAGE_MODELING;
  }

  /** {@return whether of a language model it needs questions with answers to choose from} */
  public boolean chooses() {
    return this == ACCURACY || this == ACCURACY_NORM;
  }

  /** {@return whether it is defined for two classes only, the second being the positive one} */
  public boolean binary() {
    return switch (this) {
      case F1, ACCURACY_AND_F1, PRECISION, RECALL, ROC_AUC -> true;
      default -> false;
    };
  }

  /**
   * {@return a value for a reader: {@code 79.75 %} for a share, {@code 0.4531} for a correlation,
   * {@code -1.2345 (perplexity 3.437)} for a log-likelihood}
   *
   * @param value as the metric gives it: 0.7975
   */
  public String format(double value) {
    if (this == LOG_LIKELIHOOD) {
      return String.format(Locale.ROOT, "%.4f (perplexity %.3f)", value, Math.exp(-value));
    }
    return share
        ? String.format(Locale.ROOT, "%.2f %%", 100 * value)
        : String.format(Locale.ROOT, "%.4f", value);
  }

  /**
   * {@return a difference of two values, or a deviation of several, for a reader: {@code 1.25 %}
   * for a share, {@code 0.0213} for a correlation or a log-likelihood, of which no perplexity
   * follows}
   *
   * @param value as the metric gives it: 0.0125
   */
  public String formatDifference(double value) {
    return this == LOG_LIKELIHOOD ? String.format(Locale.ROOT, "%.4f", value) : format(value);
  }

  /**
   * {@return the metric with that {@link #key}} Perplexity is the log-likelihood, of which more is
   * better.
   *
   * @param key such as matthews_correlation, or with hyphens
   * @throws IllegalArgumentException if there is none; the message suggests the nearest
   */
  public static Metric byKey(String key) {
    List<String> known = Arrays.stream(values()).map(Metric::key).toList();
    String name = key.replace('-', '_');
    int index = known.indexOf(name.equals("perplexity") ? LOG_LIKELIHOOD.key : name);
    if (index < 0) {
      throw new IllegalArgumentException(Spelling.unknown("metric", key, known));
    }
    return values()[index];
  }
}
