package org.prunepeft.search.peer;

import java.util.List;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Observation;

/** Makes the trainings of a {@link PeerSearch}; the side of it that knows models and data. */
public interface PeerTrainer {
  /**
   * Trains the supernet with a gate on each module.
   *
   * @param gates of all modules; updated in every step
   */
  void gates(GateTraining gates);

  /**
   * Trains the supernet once.
   *
   * @param modules all that there are
   * @return the sums of each module's weights and gradients
   */
  Observation supernet(List<Candidate> modules);

  /**
   * Trains some modules from new weights, as a run's final training does but for fewer epochs.
   *
   * @param modules and no others
   * @return the task's metric on validation data; where the training diverges, that of the head
   *     alone, and why
   */
  PeerResult.Trial validated(List<Candidate> modules);

  /** {@return what has been trained so far} */
  PeerResult.TrainingEffort effort();
}
