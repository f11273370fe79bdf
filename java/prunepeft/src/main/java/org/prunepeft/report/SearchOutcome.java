package org.prunepeft.report;

import java.util.List;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.peer.PeerResult;

/**
 * What a search gave.
 *
 * @param pruning every round, and the modules that are left; null where modules were not pruned
 * @param measured what modules are worth, and which are kept; null where they were not measured
 * @param peer what another way to choose modules gave; null where there was none
 * @param retrained the training of what is left: from new weights, of a measured search from the
 *     supernet's by default
 * @param warmUpSeconds 0 where the strategy was given
 * @param roundSeconds of all rounds together, or of what the search did in their place
 */
public record SearchOutcome(
    PruningResult pruning,
    MeasuredResult measured,
    PeerResult peer,
    TrainOutcome retrained,
    double warmUpSeconds,
    double roundSeconds) {
  /** {@return the modules that are kept, sorted by layer, type and name} */
  public List<Candidate> kept() {
    if (pruning != null) {
      return pruning.kept();
    }
    return measured == null ? peer.kept() : retrained.modules();
  }

  /** {@return Warm-up and rounds} */
  public double searchSeconds() {
    return warmUpSeconds + roundSeconds;
  }

  /** {@return what the search cost, in trainings of its result} */
  public double costRatio() {
    return searchSeconds() / retrained.trainingSeconds();
  }
}
