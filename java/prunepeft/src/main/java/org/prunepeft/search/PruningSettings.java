package org.prunepeft.search;

import io.soabase.recordbuilder.core.RecordBuilder;

/**
 * How iterative pruning goes.
 *
 * @param rounds how many rounds of training and removal, at least 1
 * @param budget the trainable parameters to be left at most, the task head apart
 * @param selection over which modules the pruning probability is shared out
 * @param weights how the criteria of a partition are weighed
 * @param reinitialise whether every round starts from new weights, or all but the first from the
 *     trained ones
 * @param spreadThreshold the least spread of a criterion's scores, relative to their mean, with
 *     which it counts, in [0, 1)
 * @param c of k = sigmoid(c − rank)
 * @param seed decides between modules that are alike in all else
 */
@RecordBuilder
public record PruningSettings(
    int rounds,
    long budget,
    Selection selection,
    Weighting weights,
    boolean reinitialise,
    double spreadThreshold,
    double c,
    long seed)
    implements PruningSettingsBuilder.With {

  /** Over which modules the pruning probability is shared out. */
  public enum Selection {
    /** Over all modules of a type, times their number, so that types compare. */
    HYBRID,
    /**
     * Within each partition, as the authors' code does. For comparison: in a small partition the
     * probability is high by construction.
     */
    REFERENCE
  }

  /** How the criteria of a partition are weighed. */
  public enum Weighting {
    /** All the same. */
    ALIKE,
    /** By their reliability, clipped at 0. */
    RELIABILITY
  }

  /**
   * @throws IllegalArgumentException if a setting is out of its range
   */
  public PruningSettings {
    if (rounds < 1) {
      throw new IllegalArgumentException("rounds must be at least 1, got " + rounds);
    }
    requirePositiveBudget(budget);
    WarmUpSettings.requireRule(spreadThreshold, c);
  }

  /**
   * {@return the defaults for a budget: 3 rounds, hybrid, criteria alike, re-initialised, the least
   * spread and c of the warm-up's defaults, seed 0}
   */
  public static PruningSettings of(long budget) {
    return PruningSettingsBuilder.builder()
        .rounds(3)
        .budget(budget)
        .selection(Selection.HYBRID)
        .weights(Weighting.ALIKE)
        .reinitialise(true)
        .spreadThreshold(WarmUpSettings.DEFAULT_SPREAD_THRESHOLD)
        .c(WarmUpSettings.DEFAULT_C)
        .build();
  }

  /**
   * {@return the parameters to be left at most after a round: B₀ − i·(B₀ − B)/r, rounded down}
   *
   * @param round i, from 1 to r
   * @param supernet B₀, the parameters of the supernet
   */
  public long target(int round, long supernet) {
    long removed = Math.multiplyExact((long) round, supernet - budget);
    return supernet - Math.floorDiv(removed + rounds - 1, (long) rounds);
  }

  static void requirePositiveBudget(long budget) {
    if (budget < 1) {
      throw new IllegalArgumentException(
          "the budget must be a positive number of trainable parameters, got " + budget);
    }
  }
}
