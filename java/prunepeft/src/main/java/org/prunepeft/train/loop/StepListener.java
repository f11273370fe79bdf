package org.prunepeft.train.loop;

import org.prunepeft.train.Evaluation;

/** Follows a training, step by step and epoch by epoch. Called on the training thread. */
public interface StepListener {
  /** Follows nothing. */
  StepListener NONE = new StepListener() {};

  /**
   * What the step that is reported next has read.
   *
   * @param tokens of its batch, padding left out
   */
  default void read(long tokens) {}

  /**
   * A step is done.
   *
   * @param step 1-based, over all epochs
   * @param steps of the whole training
   * @param loss mean over the batch
   * @param rate the learning rate's share of its peak
   */
  default void step(int step, int steps, double loss, double rate) {}

  /**
   * A step was left out.
   *
   * @param step 1-based, over all epochs
   * @param steps of the whole training
   * @param reason what was NaN or infinite, for the user
   */
  default void skipped(int step, int steps, String reason) {}

  /**
   * The training has failed, and what asked for it goes on.
   *
   * @param reason what it means and why it was, for the user
   */
  default void failed(String reason) {}

  /**
   * An epoch is done.
   *
   * @param epoch 1-based
   * @param trainLoss mean over the epoch's examples
   * @param validation null if there was none
   */
  default void epoch(int epoch, int epochs, double trainLoss, Evaluation validation) {}

  /**
   * Asked before each step; true stops the training with {@link
   * java.util.concurrent.CancellationException}.
   */
  default boolean cancelled() {
    return false;
  }
}
