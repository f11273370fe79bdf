package org.prunepeft.search;

import java.util.List;

/** Trains the supernet; the side of the search that knows models and data. */
@FunctionalInterface
public interface SupernetTrainer {
  /**
   * Trains with the given modules and no others.
   *
   * @param stage what the training is for, and whether weights start anew
   * @param modules those that are left, sorted by layer, type and name
   * @return the statistics of at least these modules
   */
  Observation train(Stage stage, List<Candidate> modules);
}
