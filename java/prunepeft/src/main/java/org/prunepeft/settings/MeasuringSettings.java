package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.List;
import java.util.OptionalDouble;

/**
 * How a search measures modules: one supernet is trained with a random subset of its modules at
 * each step, then subsets are measured on training examples that it has not seen.
 *
 * @param supernetExamples training examples of the supernet, 1 or more; at most three quarters of
 *     all, the others are measured on
 * @param supernetEpochs of the supernet, 1 or more
 * @param measuredExamples examples that subsets are measured on, 20 or more
 * @param subsets that are measured at most, 24 or more
 * @param objectives names of costs: parameters, training-time, latency; the first decides between
 *     subsets that do not differ measurably, and all shape the front of configurations
 * @param tolerance share of the correct answers, such as 0.005, by which the cheapest configuration
 *     may lie below the supernet; empty: the best within the budget is kept
 */
@RecordBuilder
public record MeasuringSettings(
    int supernetExamples,
    int supernetEpochs,
    int measuredExamples,
    int subsets,
    List<String> objectives,
    OptionalDouble tolerance)
    implements MeasuringSettingsBuilder.With {
  /** Two epochs on 1,000 examples, 64 subsets measured on 500 others, parameters as objective. */
  public static final MeasuringSettings DEFAULT =
      MeasuringSettingsBuilder.builder()
          .supernetExamples(1000)
          .supernetEpochs(2)
          .measuredExamples(500)
          .subsets(64)
          .objectives(List.of("parameters"))
          .build();

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range; the names of objectives are
   *     checked where they are used
   */
  public MeasuringSettings {
    atLeast(1, supernetExamples, "the supernet's examples");
    atLeast(1, supernetEpochs, "the supernet's epochs");
    atLeast(20, measuredExamples, "examples to measure on");
    atLeast(24, subsets, "subsets to measure");
    objectives = List.copyOf(objectives);
    if (objectives.isEmpty()) {
      throw new IllegalArgumentException(
          "a measured search needs at least one objective, such as parameters, got none");
    }
    if (tolerance.isPresent()
        && !(tolerance.getAsDouble() >= 0 && Double.isFinite(tolerance.getAsDouble()))) {
      throw new IllegalArgumentException(
          "the tolerance must be a finite number of at least 0, got " + tolerance.getAsDouble());
    }
  }

  private static void atLeast(int least, int value, String name) {
    if (value < least) {
      throw new IllegalArgumentException(
          "%s must be at least %d, got %d".formatted(name, least, value));
    }
  }
}
