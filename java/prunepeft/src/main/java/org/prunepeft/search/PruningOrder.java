package org.prunepeft.search;

import java.util.Comparator;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** Which module goes first: high probability, then low rank, then a seeded hash of the name. */
final class PruningOrder {
  /** Sums of the same terms in another order differ behind this digit. */
  private static final double DIGITS = 1e12;

  private PruningOrder() {}

  static <T> Comparator<T> of(
      ToDoubleFunction<T> probability,
      ToDoubleFunction<T> meanRank,
      Function<T, Candidate> module,
      long seed) {
    return Comparator.<T>comparingDouble(item -> -rounded(probability.applyAsDouble(item)))
        .thenComparingDouble(item -> rounded(meanRank.applyAsDouble(item)))
        .thenComparing(module, SeededHash.order(seed));
  }

  private static double rounded(double value) {
    return Math.rint(value * DIGITS);
  }
}
