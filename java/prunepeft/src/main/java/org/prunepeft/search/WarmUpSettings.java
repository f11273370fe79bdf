package org.prunepeft.search;

/**
 * How the warm-up goes.
 *
 * @param turns how many turns of training and removal each criterion gets, at least 1
 * @param partitioning where the layers are cut
 * @param seed decides between modules that are alike in all else
 */
public record WarmUpSettings(int turns, Partitioning partitioning, long seed) {
  /** The turns of the paper's experiments. */
  public static final int DEFAULT_TURNS = 3;

  private static final int SHARE = 16;

  /**
   * @throws IllegalArgumentException if a setting is out of its range
   */
  public WarmUpSettings {
    if (turns < 1) {
      throw new IllegalArgumentException("turns must be at least 1, got " + turns);
    }
  }

  /** {@return the defaults: 3 turns, a sixteenth of the modules each, spindle blocks, seed 0} */
  public static WarmUpSettings defaults() {
    return new WarmUpSettings(DEFAULT_TURNS, Partitioning.SPINDLE, 0);
  }

  /** {@return these settings with another number of turns} */
  public WarmUpSettings withTurns(int turns) {
    return new WarmUpSettings(turns, partitioning, seed);
  }

  /** {@return these settings with another partitioning} */
  public WarmUpSettings withPartitioning(Partitioning partitioning) {
    return new WarmUpSettings(turns, partitioning, seed);
  }

  /** {@return these settings with another seed} */
  public WarmUpSettings withSeed(long seed) {
    return new WarmUpSettings(turns, partitioning, seed);
  }

  /**
   * {@return how many modules of a search space each criterion removes in a turn: a sixteenth,
   * rounded half up, and at least 1}
   *
   * @param space all modules that there are
   */
  public static int removedPerTurn(SearchSpace space) {
    int modules = space.candidates().size();
    return Math.max(1, (2 * modules + SHARE) / (2 * SHARE));
  }
}
