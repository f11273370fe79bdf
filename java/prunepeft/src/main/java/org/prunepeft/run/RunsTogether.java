package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.train.loop.TrainingsInStep;

/**
 * Runs that share a model and are trained together, each with a thread of its own. The threads take
 * turns, see {@link TrainingsInStep}: what they share needs no other guard.
 */
public final class RunsTogether implements AutoCloseable {
  private final TrainingsInStep inStep;

  /** Loaded by the first run; all have one setup but for the seed. */
  private Models.LoadedModel model;

  private RunsTogether(int runs) {
    inStep = new TrainingsInStep(runs);
  }

  /**
   * Makes runs together, and returns when all have ended.
   *
   * @param runs each gets what it shares with the others
   * @return what they gave, in the same order
   * @throws RuntimeException what the first has thrown of those that failed, with what the others
   *     have as suppressed ones
   */
  public static <T> List<T> together(List<Function<RunsTogether, T>> runs) {
    List<Throwable> failures = new ArrayList<>();
    List<T> results = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    try (RunsTogether together = new RunsTogether(runs.size())) {
      for (int i = 0; i < runs.size(); i++) {
        int number = i;
        failures.add(null);
        results.add(null);
        Thread thread =
            new Thread(
                () -> {
                  together.inStep.join();
                  try {
                    results.set(number, runs.get(number).apply(together));
                  } catch (RuntimeException | Error e) {
                    failures.set(number, e);
                  } finally {
                    together.inStep.leave();
                  }
                },
                "run-" + i);
        threads.add(thread);
      }
      threads.forEach(Thread::start);
      threads.forEach(RunsTogether::await);
    }
    throwFirst(failures);
    return results;
  }

  private static void await(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        // The runs are cancelled by their listeners; what they hold is not given up before.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void throwFirst(List<Throwable> failures) {
    List<Throwable> thrown = failures.stream().filter(failure -> failure != null).toList();
    if (thrown.isEmpty()) {
      return;
    }
    Throwable first = thrown.get(0);
    thrown.stream().skip(1).filter(other -> other != first).forEach(first::addSuppressed);
    if (first instanceof Error error) {
      throw error;
    }
    throw (RuntimeException) first;
  }

  TrainingsInStep inStep() {
    return inStep;
  }

  /** The model, loaded once; it stays this object's. */
  Models.LoadedModel model(Supplier<Models.LoadedModel> loader) {
    if (model == null) {
      model = loader.get();
    }
    return model;
  }

  /**
   * @param lora whether there are LoRA candidates
   * @throws IllegalArgumentException if the encoder sends more than a batch's tokens through a
   *     linear that modules may sit on
   */
  static void requireSuits(EncoderConfig encoder, boolean lora) {
    if (lora && encoder.relative() != null && encoder.relative().sharedProjections()) {
      throw new IllegalArgumentException(
          "this model sends relative positions through its query and key, on which each run has LoRA"
              + " of its own, so that its runs cannot be trained together; leave out --together");
    }
  }

  @Override
  public void close() {
    if (model != null) {
      model.encoder().close();
    }
  }
}
