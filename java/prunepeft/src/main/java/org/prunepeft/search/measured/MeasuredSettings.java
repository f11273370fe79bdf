package org.prunepeft.search.measured;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;
import org.prunepeft.search.SearchSpace;

/**
 * How a measured search goes.
 *
 * @param budget the trainable parameters to be left at most, the task head apart
 * @param effort how many subsets are measured
 * @param costs what configurations cost; the first is the objective, which decides where no
 *     difference shows; all of them, in turn, where more than a negligible one is excluded and
 *     between subsets that are equally good. All shape the front. Names are unique
 * @param tolerance by how much the metric may lie below the supernet's, in the metric's units, for
 *     the cheapest configuration that does to be kept; empty to keep the best within the budget
 * @param negligible what the best subset may gain over random ones without mattering, in the
 *     metric's units: where the gain's interval does not lie above 0 and ends at this or below it,
 *     placement does not matter, even if the score shows a gain, and all costs decide, not the
 *     objective alone; finite and at least 0
 * @param confirmation the share of the examples by which subsets are not ranked and from which the
 *     final comparisons are made, in [0.2, 0.8]
 * @param pairs how many interactions between two modules the model of the metric may hold at most,
 *     at least 0
 * @param seed decides what is drawn
 */
@RecordBuilder
public record MeasuredSettings(
    long budget,
    Effort effort,
    List<Cost> costs,
    OptionalDouble tolerance,
    double negligible,
    double confirmation,
    int pairs,
    long seed)
    implements MeasuredSettingsBuilder.With {
  private static final double DEFAULT_CONFIRMATION = 0.4;
  private static final double DEFAULT_NEGLIGIBLE = 0.02;
  private static final int DEFAULT_PAIRS = 8;

  /**
   * @throws IllegalArgumentException if a setting is out of its range
   */
  public MeasuredSettings {
    if (budget < 1) {
      throw new IllegalArgumentException(
          "the budget must be a positive number of trainable parameters, got " + budget);
    }
    costs = List.copyOf(costs);
    if (costs.isEmpty()) {
      throw new IllegalArgumentException(
          "a measured search needs at least one cost, such as Cost.parameters(), got none");
    }
    Set<String> names = new HashSet<>();
    for (Cost cost : costs) {
      if (!names.add(cost.name())) {
        throw new IllegalArgumentException(
            "names of costs must be unique, got " + cost.name() + " twice");
      }
    }
    if (tolerance.isPresent()
        && !(tolerance.getAsDouble() >= 0 && Double.isFinite(tolerance.getAsDouble()))) {
      throw new IllegalArgumentException(
          "the tolerance must be a finite number of at least 0, got " + tolerance.getAsDouble());
    }
    if (!(negligible >= 0 && Double.isFinite(negligible))) {
      throw new IllegalArgumentException(
          "a negligible difference must be a finite number of at least 0, got " + negligible);
    }
    if (!(confirmation >= 0.2 && confirmation <= 0.8)) {
      throw new IllegalArgumentException(
          "the share of examples for confirmation must be from 0.2 to 0.8, got " + confirmation);
    }
    if (pairs < 0) {
      throw new IllegalArgumentException("pairs must be at least 0, got " + pairs);
    }
  }

  /**
   * {@return the defaults: the effort that suits the space, parameters as the only cost, the best
   * within the budget, two hundredths as negligible, two fifths of the examples for confirmation,
   * at most 8 pairs, seed 0}
   *
   * @param space all modules that there are
   * @param budget the trainable parameters to be left at most
   */
  public static MeasuredSettings of(SearchSpace space, long budget) {
    return MeasuredSettingsBuilder.builder()
        .budget(budget)
        .effort(Effort.of(space))
        .costs(List.of(Cost.parameters()))
        .negligible(DEFAULT_NEGLIGIBLE)
        .confirmation(DEFAULT_CONFIRMATION)
        .pairs(DEFAULT_PAIRS)
        .build();
  }

  /** {@return the first of the costs} */
  public Cost objective() {
    return costs.get(0);
  }
}
