package org.prunepeft;

import org.prunepeft.run.RunsTogether;

/**
 * The encoder of the runs of {@link SeedRuns#together}, and their turns at it. Each run hands it on
 * to the call that makes it.
 */
public final class SharedEncoder {
  private final RunsTogether runs;

  SharedEncoder(RunsTogether runs) {
    this.runs = runs;
  }

  /** Null: a run has its encoder for itself. */
  static RunsTogether runs(SharedEncoder shared) {
    return shared == null ? null : shared.runs;
  }
}
