package org.prunepeft.testing;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * Bounds of processor time, which other work on the machine does not use up, with bounds of real
 * time far beyond them, which end what waits without end.
 */
public final class ProcessorTime {
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  private static final long POLL_MILLIS = 20;

  /** So many times the bound of processor time is that of real time. */
  private static final int REAL = 20;

  private ProcessorTime() {}

  /**
   * {@return what an action gives, in a thread of its own}
   *
   * @param most processor time that this thread may take; what others take that it starts, or has
   *     do its work, does not count. In real time it may take 20 times as much
   * @param <T> the result's type
   * @throws AssertionError if it takes more; it is not waited for then
   * @throws Exception what the action throws
   */
  public static <T> T atMost(Duration most, Callable<T> action) throws Exception {
    FutureTask<T> task = new FutureTask<>(action);
    Thread thread = new Thread(task, "bounded");
    thread.setDaemon(true);
    long begun = System.nanoTime();
    thread.start();
    while (thread.isAlive()) {
      if (THREADS.getThreadCpuTime(thread.getId()) > most.toNanos()) {
        throw ended(thread, "it has taken more than %s of processor time", most);
      }
      if (System.nanoTime() - begun > REAL * most.toNanos()) {
        throw ended(thread, "it has not ended within %s", most.multipliedBy(REAL));
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

  private static AssertionError ended(Thread thread, String said, Duration bound) {
    AssertionError error = new AssertionError(said.formatted(bound.toMillis() / 1e3 + " s"));
    error.setStackTrace(thread.getStackTrace());
    thread.interrupt();
    return error;
  }

  /**
   * {@return whether a process ends within bounds from now on}
   *
   * @param most processor time of all of its threads; that of processes that it starts does not
   *     count
   * @param real time at most, in which it may wait
   */
  public static boolean endsWithin(Duration most, Duration real, Process process)
      throws InterruptedException {
    Duration end = taken(process).orElse(Duration.ZERO).plus(most);
    long begun = System.nanoTime();
    while (process.isAlive()) {
      if (taken(process).orElse(Duration.ZERO).compareTo(end) > 0
          || System.nanoTime() - begun > real.toNanos()) {
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
