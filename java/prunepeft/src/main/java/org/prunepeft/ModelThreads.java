package org.prunepeft;

import java.util.Deque;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.Supplier;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.loop.Predictor;

/**
 * The threads that a loaded model computes on. A call runs on one of them, with a state that no
 * other call has meanwhile; calls beyond their number wait, and begin in the order in which they
 * came.
 *
 * <p>They are the model's own since native pools keep memory and threads for each thread that calls
 * them: so there are as many as compute at once, however many callers there are.
 */
final class ModelThreads implements AutoCloseable {
  /** What a call computes with, beside the weights, which all share. */
  record ThreadState(Predictor predictor, PeftModules modules) {}

  private final ExecutorService threads;

  /** The one that was used last is taken first. */
  private final Deque<ThreadState> idle = new ConcurrentLinkedDeque<>();

  private final String closed;

  /** Whether the current thread is one of these. */
  private final ThreadLocal<Boolean> inside = ThreadLocal.withInitial(() -> false);

  /**
   * @param count of threads, 1 or more
   * @param states makes the state of each
   * @param closed message of the exception of a call after {@link #close}
   */
  ModelThreads(int count, Supplier<ThreadState> states, String closed) {
    this.closed = closed;
    try {
      for (int i = 0; i < count; i++) {
        idle.push(states.get());
      }
    } catch (RuntimeException | Error e) {
      closeStates();
      throw e;
    }
    threads = Executors.newFixedThreadPool(count, this::thread);
  }

  private Thread thread(Runnable work) {
    Runnable withThreads =
        () -> {
          // LibTorch sets the number of OpenMP's threads for each thread that asks for it.
          Torch.threads();
          inside.set(true);
          work.run();
        };
    // They outlive the call that begins them, and whose they are: nothing of it is kept.
    Thread thread = new Thread(null, withThreads, "prunepeft-model", 0, false);
    thread.setContextClassLoader(ModelThreads.class.getClassLoader());
    thread.setDaemon(true);
    return thread;
  }

  /**
   * {@return what the work returns} An interrupt of the caller does not end it.
   *
   * @throws IllegalStateException if this is closed, or the caller is one of the threads
   */
  <T> T call(Function<ThreadState, T> work) {
    requireAnotherThread();
    FutureTask<T> call = new FutureTask<>(() -> withState(work));
    try {
      threads.execute(call);
    } catch (RejectedExecutionException e) {
      throw new IllegalStateException(closed, e);
    }
    return await(call);
  }

  private static <T> T await(Future<T> call) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return call.get();
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          throw ModelThreads.<RuntimeException>rethrown(e.getCause());
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Throws what a call has thrown, as it is: a listener may be of a language with no checks. */
  @SuppressWarnings("unchecked")
  private static <E extends Throwable> RuntimeException rethrown(Throwable thrown) throws E {
    throw (E) thrown;
  }

  /**
   * Checks that the current thread is none of these, as a listener's is: a call of it would wait
   * for itself.
   *
   * @throws IllegalStateException if it is one
   */
  void requireAnotherThread() {
    if (inside.get()) {
      throw new IllegalStateException(
          "a listener calls the model that it listens to, which would wait for that call's own end;"
              + " note what was heard, and call the model when it has returned");
    }
  }

  /** As many states as threads: there is always one. */
  private <T> T withState(Function<ThreadState, T> work) {
    ThreadState state = idle.pop();
    try {
      return work.apply(state);
    } finally {
      idle.push(state);
    }
  }

  /**
   * Waits for the calls that have begun or wait; later ones are refused.
   *
   * @throws IllegalStateException if the caller is one of the threads
   */
  @Override
  public void close() {
    requireAnotherThread();
    threads.shutdown();
    boolean interrupted = false;
    while (!threads.isTerminated()) {
      try {
        threads.awaitTermination(1, TimeUnit.DAYS);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    closeStates();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void closeStates() {
    for (ThreadState state = idle.poll(); state != null; state = idle.poll()) {
      state.predictor().close();
    }
  }
}
