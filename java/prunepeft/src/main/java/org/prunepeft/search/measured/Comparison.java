package org.prunepeft.search.measured;

/**
 * A subset against another choice, on examples by which subsets were not ranked.
 *
 * @param against what it is compared with
 * @param difference its metric less the other's, by paired differences
 */
public record Comparison(Rival against, Estimate difference) {
  /** What a choice is compared with. */
  public enum Rival {
    /** The mean of all random subsets of the budget; the interval knows that some were measured. */
    RANDOM,
    /** The first layers, up to the budget. */
    FIRST_LAYERS,
    /** The layers in the middle, up to the budget. */
    MIDDLE_LAYERS,
    /** The last layers, up to the budget. */
    LAST_LAYERS,
    /** All modules. */
    SUPERNET,
    /** No module: the head alone. */
    NONE
  }
}
