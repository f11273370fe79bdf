package org.prunepeft.search;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The baseline that takes modules in random order. Slices of modules are drawn in random order too,
 * and the n-th that is drawn of a module is its n-th: a leading slice does more than what follows
 * it, so that a subset that keeps a later one alone would be no rival.
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
    Map<String, Iterator<Candidate>> slices = slices(space);
    return BudgetFill.take(
        space.candidates().stream()
            .map(candidate -> new Drawn(candidate, SeededHash.of(seed, candidate.name())))
            .sorted(Drawn.ORDER)
            .map(drawn -> slices.get(Slice.of(drawn.candidate).module()).next())
            .toList(),
        budget);
  }

  /** The slices of each module in their order, a whole module's as its only one. */
  private static Map<String, Iterator<Candidate>> slices(SearchSpace space) {
    Map<String, Iterator<Candidate>> slices = new HashMap<>();
    space.candidates().stream()
        .collect(Collectors.groupingBy(candidate -> Slice.of(candidate).module()))
        .forEach(
            (module, own) ->
                slices.put(
                    module,
                    own.stream()
                        .sorted(Comparator.comparingInt(candidate -> Slice.of(candidate).index()))
                        .iterator()));
    return slices;
  }

  /** A candidate with what decides when one is taken. */
  private record Drawn(Candidate candidate, long hash) {
    static final Comparator<Drawn> ORDER =
        Comparator.comparingLong(Drawn::hash)
            .thenComparing(drawn -> drawn.candidate.name())
            .reversed();
  }
}
