package org.prunepeft.search;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** The baselines that keep the modules of the last, the first or the middle layers. */
public final class DepthOrder {
  /** Which layers' modules are kept. */
  public enum Layers {
    /** Those nearest the input. */
    FIRST,
    /** Those around the middle; of two layers as far from it, the later. */
    MIDDLE,
    /** Those nearest the head. */
    LAST
  }

  private DepthOrder() {}

  /**
   * Takes the modules of the layers that are asked for, then those of the next ones: each that
   * still fits the budget.
   *
   * @param space all modules that there are
   * @param budget trainable parameters that may be left
   * @param layers which to keep
   * @return the modules kept, sorted by layer, type and name
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget})
   */
  public static List<Candidate> keep(SearchSpace space, long budget, Layers layers) {
    space.requireBudget(budget);
    return BudgetFill.take(
        space.candidates().stream().sorted(order(layers, space)).toList(), budget);
  }

  /**
   * Within a layer the smaller modules come first, so that a budget holds more of it, and of a
   * module its leading slices.
   */
  private static Comparator<Candidate> order(Layers layers, SearchSpace space) {
    int count = space.layers();
    Map<String, Long> sizes =
        space.candidates().stream()
            .collect(
                Collectors.groupingBy(
                    candidate -> Slice.of(candidate).module(),
                    Collectors.summingLong(Candidate::parameters)));
    ToDoubleFunction<Candidate> key =
        switch (layers) {
          case FIRST -> Candidate::layer;
          case LAST -> module -> -module.layer();
          // The quarter decides between two layers that are as far from the middle.
          case MIDDLE -> module -> Math.abs(module.layer() - (count - 1) / 2.0 - 0.25);
        };
    return Comparator.comparingDouble(key)
        .thenComparing(candidate -> sizes.get(Slice.of(candidate).module()))
        .thenComparing(
            Comparator.comparing((Candidate candidate) -> Slice.of(candidate).module()).reversed())
        .thenComparing(candidate -> Slice.of(candidate).index());
  }
}
