package org.prunepeft.io;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;

/**
 * Work on files that an interrupt of the thread neither hinders nor ends. Java closes a channel
 * whose thread is interrupted; a run would end at whatever file it was writing.
 */
public final class Uninterrupted {
  /** Works on files. */
  @FunctionalInterface
  public interface Work {
    /** Does all of it. */
    void run() throws IOException;
  }

  private Uninterrupted() {}

  /**
   * Does the work while the thread is not interrupted; if it was, or was meanwhile, it is so
   * afterwards.
   *
   * @param work which opens its channels itself; done again from its beginning where an interrupt
   *     has ended it
   * @throws IOException what the work throws
   */
  public static void run(Work work) throws IOException {
    boolean interrupted = Thread.interrupted();
    try {
      while (!isDone(work)) {
        interrupted |= Thread.interrupted();
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static boolean isDone(Work work) throws IOException {
    try {
      work.run();
      return true;
    } catch (ClosedByInterruptException e) {
      return false;
    }
  }

  /**
   * {@return whether an interrupt of its thread is what a failure comes from} Other threads that
   * read for an interrupted one find their channel closed.
   */
  public static boolean isInterrupt(Throwable failure) {
    boolean now = Thread.currentThread().isInterrupted();
    for (Throwable one = failure; one != null; one = one.getCause()) {
      if (one instanceof ClosedByInterruptException
          || now
              && (one instanceof ClosedChannelException
                  || one instanceof InterruptedIOException
                  || one instanceof InterruptedException)) {
        return true;
      }
    }
    return false;
  }
}
