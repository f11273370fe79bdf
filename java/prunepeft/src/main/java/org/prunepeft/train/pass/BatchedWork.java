package org.prunepeft.train.pass;

import org.prunepeft.torch.StateExchange;

/** Work of many batches, which goes on from the last one that a checkpoint has. */
public interface BatchedWork {
  /** Does the next batch; false: there is none. */
  boolean next();

  /** How many batches are done. */
  int batches();

  /** Gives what is done to a checkpoint, or takes it from one. */
  void exchange(StateExchange state);
}
