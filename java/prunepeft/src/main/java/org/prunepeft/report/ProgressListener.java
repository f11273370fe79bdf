package org.prunepeft.report;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Follows a run, on its thread; of runs that are trained together, on the thread of any of them,
 * but never on two at a time. What it throws ends the run.
 *
 * <p>An interrupt of a run's thread cancels it as {@link #cancelled} does, and so does one of the
 * thread that waits for runs together. The thread is still interrupted when the run has ended. A
 * file that is being written is written to its end.
 */
public interface ProgressListener {
  /** Follows nothing. */
  ProgressListener NONE = new ProgressListener() {};

  /**
   * {@return all of these, in this order; cancelled if one of them says so}
   *
   * @param listeners in the order in which they are notified
   */
  static ProgressListener of(ProgressListener... listeners) {
    return new Listeners(List.of(listeners));
  }

  /**
   * The run's directory has been made, or opened where a run goes on, and nothing else has been
   * done; not called if there is none.
   *
   * @param directory which vanishes if the settings turn out to be wrong
   */
  default void created(Path directory) {}

  /**
   * The run's settings have passed and its directory is there; not called if there is none.
   *
   * @param directory where files of the listener's own may be written; they are part of the run
   */
  default void directory(Path directory) {}

  /**
   * A piece of work begins; the one before it is over.
   *
   * @param name in a few words
   * @param unit of what is counted: steps, examples; empty: it is not counted
   * @param total how many there will be; 0: it is not counted, and {@link #progress} is not called
   */
  default void started(String name, String unit, long total) {}

  /**
   * The piece goes on.
   *
   * @param done units of it
   * @param detail in a few characters, such as the loss; may be empty
   */
  default void progress(long done, String detail) {}

  /**
   * Measured values of a training, after each step and each epoch.
   *
   * @param training the piece of work that goes on; each training of a run has a name of its own
   * @param step 1-based, over all epochs of the training
   * @param values by name: loss, learning_rate_factor; after an epoch epoch_loss, and
   *     validation_loss and validation_accuracy or the task's other metrics; of the training that
   *     is kept, in the end, test_loss and test_accuracy
   */
  default void metrics(String training, long step, Map<String, Double> values) {}

  /**
   * Something worth a line.
   *
   * @param line without its end
   */
  default void message(String line) {}

  /**
   * Asked before each step, and between batches of examples that are tokenised, validated or
   * tested; true ends the run with {@link java.util.concurrent.CancellationException}. Not asked
   * while a model is loaded or a head fitted.
   *
   * @return true to end it; false, unless overridden
   */
  default boolean cancelled() {
    return false;
  }
}
