package org.prunepeft.search.measured;

import org.prunepeft.search.SearchSpace;

/**
 * Measures what the modules of a trained supernet are worth, and finds the best subset of a budget.
 */
public final class MeasuredSearch {
  private MeasuredSearch() {}

  /**
   * Searches.
   *
   * @param space all modules that there are
   * @param settings budget, effort, costs
   * @param measurer measures subsets
   * @param listener hears how far it is
   * @return the choice, with all that led to it
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget})
   * @throws IllegalStateException if the measurer gives other numbers of subsets or examples than
   *     asked for, or fewer than 20 examples
   * @throws ArithmeticException if a measurement is not finite
   * @throws java.util.concurrent.CancellationException if the listener cancels
   */
  public static MeasuredResult run(
      SearchSpace space,
      MeasuredSettings settings,
      SubsetMeasurer measurer,
      MeasuringListener listener) {
    throw new UnsupportedOperationException("not yet");
  }
}
