package org.prunepeft.search;

import java.util.Comparator;
import java.util.List;
import java.util.function.Function;

/**
 * The baseline that takes modules in random order. Of modules that are cut into slices all give
 * their first in that order, then all their second: a leading slice does more than what follows it,
 * so that a subset that keeps a later one alone would be no rival.
 */
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
        space.candidates().stream()
            .map(Drawn.by(seed))
            .sorted(Drawn.ORDER)
            .map(Drawn::candidate)
            .toList(),
        budget);
  }

  /** A candidate with what decides when it is taken. */
  private record Drawn(Candidate candidate, Slice slice, long hash) {
    static final Comparator<Drawn> ORDER =
        Comparator.comparingInt((Drawn one) -> one.slice.index())
            .thenComparing(
                Comparator.comparingLong(Drawn::hash)
                    .thenComparing(one -> one.slice.module())
                    .reversed());

    static Function<Candidate, Drawn> by(long seed) {
      return candidate -> {
        Slice slice = Slice.of(candidate);
        return new Drawn(candidate, slice, SeededHash.of(seed, slice.module()));
      };
    }
  }
}
