package org.prunepeft.run;

import java.util.Locale;
import java.util.Optional;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

/** What a validation shows that its metric does not say. */
final class EpochNotes {
  private EpochNotes() {}

  /**
   * A line for the user where the examples are of one class, or a class is never found, or is all
   * that is predicted.
   *
   * @param targets [n] the right classes
   */
  static Optional<String> of(Evaluation validation, double... targets) {
    Predictions predictions = validation.predictions();
    if (predictions.schema().kind() != TaskKind.CLASSIFICATION) {
      return Optional.empty();
    }
    if (DoubleStream.of(targets).distinct().count() == 1) {
      return Optional.of(
          String.format(
              Locale.ROOT,
              "all %,d validation examples are of one class, '%s': their metrics do not say how well classes are told apart; name a --validation-file with examples of each",
              predictions.size(),
              predictions.schema().labels().get((int) targets[0])));
    }
    if (IntStream.of(predictions.labels()).distinct().count() == 1) {
      return Optional.of(
          String.format(
              Locale.ROOT,
              "all %,d validation examples are predicted as '%s'; the classes may be too unequal, the learning rates too high or the epochs too few",
              predictions.size(),
              predictions.schema().labels().get(predictions.label(0))));
    }
    return Double.valueOf(0).equals(validation.metrics().get(Metric.F1))
        ? Optional.of(
            "validation F1 is 0: no example of '%s', the positive class, was found; F1 is of the second label"
                .formatted(predictions.schema().labels().get(1)))
        : Optional.empty();
  }
}
