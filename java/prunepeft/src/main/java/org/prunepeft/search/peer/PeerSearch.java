package org.prunepeft.search.peer;

import org.prunepeft.search.SearchSpace;

/** A way to choose which modules of a supernet are kept. */
public interface PeerSearch {
  /**
   * Chooses modules.
   *
   * @param space all modules that there are
   * @param budget trainable parameters that may be left
   * @param trainer makes the trainings that it asks for
   * @return the modules kept, within the budget, and why
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget})
   * @throws java.util.concurrent.CancellationException if a training is cancelled
   */
  PeerResult run(SearchSpace space, long budget, PeerTrainer trainer);
}
