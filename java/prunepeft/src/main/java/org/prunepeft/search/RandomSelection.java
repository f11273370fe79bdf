package org.prunepeft.search;

import java.util.List;

/** The baseline that takes modules in random order. */
public final class RandomSelection {
  private RandomSelection() {}

  /**
   * Takes modules at random, each that still fits the budget.
   *
   * @param space all modules that there are
   * @param budget trainable parameters that may be left
   * @param seed decides the order, together with the modules' names
   * @return the modules kept, sorted by layer, type and name
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget})
   */
  public static List<Candidate> keep(SearchSpace space, long budget, long seed) {
    space.requireBudget(budget);
    return BudgetFill.take(
        space.candidates().stream().sorted(SeededHash.order(seed).reversed()).toList(), budget);
  }
}
