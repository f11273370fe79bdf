package org.prunepeft.report;

import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;

/**
 * What a measured search measures of subsets, which need not be the task's metric.
 *
 * @param label what points are hundredths of, within a sentence
 * @param share whether it is a share of the examples, to be said in percent
 */
public record MeasuredQuantity(String label, boolean share) {
  /** {@return that of a task} */
  public static MeasuredQuantity of(Schema schema) {
    return switch (schema.kind()) {
      case CLASSIFICATION -> new MeasuredQuantity(Metric.ACCURACY.label(), true);
      case REGRESSION -> new MeasuredQuantity("R²", false);
      case LANGUAGE_MODELING ->
          ofAnswers(schema)
              ? new MeasuredQuantity(schema.primary().label(), true)
              : new MeasuredQuantity("the log-likelihood of a token", false);
    };
  }

  /** {@return whether it is that of a language model's answers} */
  public static boolean ofAnswers(Schema schema) {
    return schema.kind() == TaskKind.LANGUAGE_MODELING && schema.primary().chooses();
  }
}
