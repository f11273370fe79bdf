package org.prunepeft.search;

import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;

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
   * Removes modules, those of the layers that are not asked for first, until the rest is within the
   * budget.
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
    List<Candidate> order =
        space.candidates().stream().sorted(removal(layers, space.layers())).toList();
    return BudgetFill.remove(order, budget, budget).kept();
  }

  /** Within a layer the larger go first, so that a budget is filled as far as it can be. */
  private static Comparator<Candidate> removal(Layers layers, int count) {
    ToDoubleFunction<Candidate> key =
        switch (layers) {
          case FIRST -> module -> -module.layer();
          case LAST -> Candidate::layer;
          // The quarter decides between two layers that are as far from the middle.
          case MIDDLE -> module -> -Math.abs(module.layer() - (count - 1) / 2.0 - 0.25);
        };
    return Comparator.comparingDouble(key)
        .thenComparing(Comparator.comparingLong(Candidate::parameters).reversed())
        .thenComparing(Candidate::name);
  }
}
