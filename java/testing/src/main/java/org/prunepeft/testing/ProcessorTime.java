package org.prunepeft.testing;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Bounds of processor time, which other work on the machine does not use up. */
public final class ProcessorTime {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  private static final long POLL_MILLIS = 20;

  private ProcessorTime() {}

  /**
   * {@return what an action gives, in a thread of its own}
   *
   * @param most processor time that the thread may take
   * @param <T> the result's type
   * @throws AssertionError if it takes more; it is not waited for then
   * @throws Exception what the action throws
   */
  public static <T> T atMost(Duration most, Callable<T> action) throws Exception {
    FutureTask<T> task = new FutureTask<>(action);
    Thread thread = new Thread(task, "bounded");
    thread.setDaemon(true);
    thread.start();
    while (thread.isAlive()) {
      if (THREADS.getThreadCpuTime(thread.getId()) > most.toNanos()) {
        AssertionError error =
            new AssertionError(
                "it has taken more than %d s of processor time".formatted(most.toSeconds()));
        error.setStackTrace(thread.getStackTrace());
        thread.interrupt();
        throw error;
      }
      thread.join(POLL_MILLIS);
    }
    try {
      return task.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      throw (Exception) e.getCause();
    }
  }

  /**
   * {@return whether a process ends before it has taken so much processor time more} One that waits
   * without end is waited for; a test's own timeout ends that.
   *
   * @param most from now on
   */
  public static boolean endsWithin(Duration most, Process process) throws InterruptedException {
    Duration end = taken(process).orElse(Duration.ZERO).plus(most);
    while (process.isAlive()) {
      if (taken(process).orElse(Duration.ZERO).compareTo(end) > 0) {
        return false;
      }
      Thread.sleep(POLL_MILLIS);
    }
    return true;
  }

  private static Optional<Duration> taken(Process process) {
    return process.info().totalCpuDuration();
  }
}
