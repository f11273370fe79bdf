package org.prunepeft;

import org.prunepeft.run.RunsTogether;

/**
 * The frozen encoder that the runs of {@link SeedRuns#together} share, and the order in which they
 * use it. Each run passes it to the call of {@link PrunePeft} that makes it.
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
