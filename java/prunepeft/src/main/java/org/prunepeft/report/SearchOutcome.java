package org.prunepeft.report;

import org.prunepeft.search.PruningResult;

/**
 * What a search gave.
 *
 * @param pruning every round, and the modules that are left
 * @param retrained the retraining of what is left, from new weights
 * @param warmUpSeconds 0 where the strategy was given
 * @param roundSeconds of all rounds together
 */
public record SearchOutcome(
    PruningResult pruning, TrainOutcome retrained, double warmUpSeconds, double roundSeconds) {
  /** {@return Warm-up and rounds} */
  public double searchSeconds() {
    return warmUpSeconds + roundSeconds;
  }

  /** {@return what the search cost, in trainings of its result} */
  public double costRatio() {
    return searchSeconds() / retrained.trainingSeconds();
  }
}
