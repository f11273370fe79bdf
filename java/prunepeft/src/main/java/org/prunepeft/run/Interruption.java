package org.prunepeft.run;

import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import org.prunepeft.io.Uninterrupted;
import org.prunepeft.report.ProgressListener;

/**
 * Cancels a run whose thread is interrupted, which stays so for whoever runs it.
 *
 * @param together whose caller may be interrupted while the run has a thread of its own; null: the
 *     run is the caller's
 */
public record Interruption(RunsTogether together) implements ProgressListener {
  @Override
  public boolean cancelled() {
    return Thread.currentThread().isInterrupted() || together != null && together.isInterrupted();
  }

  /**
   * {@return what the work gives}
   *
   * @throws CancellationException if an interrupt ends the reading of a file
   */
  public static <T> T cancelling(Supplier<T> work) {
    try {
      return work.get();
    } catch (RuntimeException e) {
      throw cancelled(e);
    }
  }

  private static RuntimeException cancelled(RuntimeException e) {
    if (e instanceof CancellationException || !Uninterrupted.isInterrupt(e)) {
      return e;
    }
    CancellationException cancelled = new CancellationException("cancelled by an interrupt");
    cancelled.initCause(e);
    return cancelled;
  }
}
