package org.prunepeft.settings;

import com.fasterxml.jackson.annotation.JsonIgnoreType;

/**
 * When a run with a directory writes checkpoints, and whether it goes on from the last one. Neither
 * changes what comes out.
 *
 * @param steps a checkpoint every so many steps of a training and where a phase or an epoch begins,
 *     beside those that come with time; 0: every phase, epoch and 10 seconds, as far as all of them
 *     cost less than 1 % of the time
 * @param resume whether the setup's output is the directory of a run that was cut off, which goes
 *     on; one that has not begun begins
 */
@JsonIgnoreType
public record Checkpointing(int steps, boolean resume) {
  /** Of a new run. */
  public static final Checkpointing DEFAULT = new Checkpointing(0, false);

  /** Of one that goes on. */
  public static final Checkpointing RESUME = new Checkpointing(0, true);

  /**
   * Checks the steps.
   *
   * @throws IllegalArgumentException if there are fewer than 0
   */
  public Checkpointing {
    if (steps < 0) {
      throw new IllegalArgumentException(
          "steps between checkpoints must be at least 0, got " + steps);
    }
  }
}
