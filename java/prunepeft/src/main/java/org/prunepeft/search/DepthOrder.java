package org.prunepeft.search;

import java.util.Comparator;
import java.util.List;

/** The baseline that keeps the modules of the last layers. */
public final class DepthOrder {
  /** Within a layer the larger go first, so that a budget is filled as far as it can be. */
  private static final Comparator<Candidate> FIRST_LAYERS_FIRST =
      Comparator.comparingInt(Candidate::layer)
          .thenComparing(Comparator.comparingLong(Candidate::parameters).reversed())
          .thenComparing(Candidate::name);

  private DepthOrder() {}

  /**
   * Removes modules from the first layer on until the rest is within the budget.
   *
   * @param space all modules that there are
   * @param budget trainable parameters that may be left
   * @return the modules kept, sorted by layer, type and name
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget})
   */
  public static List<Candidate> keep(SearchSpace space, long budget) {
    space.requireBudget(budget);
    List<Candidate> order = space.candidates().stream().sorted(FIRST_LAYERS_FIRST).toList();
    return BudgetFill.remove(order, budget, budget).kept();
  }
}
