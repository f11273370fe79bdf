package org.prunepeft.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.loop.TrainingsInStep;

/**
 * Runs that share a model and are trained together, each with a thread of its own. The threads take
 * turns, see {@link TrainingsInStep}: what they share needs no other guard.
 */
public final class RunsTogether implements AutoCloseable {
  private final TrainingsInStep inStep;

  /** Loaded by the first run; all have one setup but for the seed. */
  private Models.LoadedModel model;

  /** Their checkpoints; null: nothing is written. */
  private final CheckpointStore store;

  private final int runs;

  /** Whether the thread that waits for them was interrupted. */
  private volatile boolean interrupted;

  private RunsTogether(int runs, CheckpointStore store) {
    this.runs = runs;
    this.store = store;
    inStep = new TrainingsInStep(runs);
  }

  /**
   * Makes runs together, and returns when all have ended. Of runs that are resumed those that were
   * complete in the last checkpoint are read from their directories.
   *
   * @param setups of the runs
   * @param store their checkpoints; null: nothing is written
   * @param run makes one, with what it shares with the others
   * @return what they gave, in the same order
   * @throws RuntimeException what the first has thrown of those that failed, with what the others
   *     have as suppressed ones
   */
  public static List<TrainOutcome> together(
      List<Setup> setups,
      CheckpointStore store,
      BiFunction<Setup, RunsTogether, TrainOutcome> run) {
    TrainOutcome[] outcomes = new TrainOutcome[setups.size()];
    List<Integer> left = new ArrayList<>();
    for (int i = 0; i < outcomes.length; i++) {
      Path output = setups.get(i).output();
      if (store != null && store.isComplete(RunRecord.name(output))) {
        store.completed(RunRecord.name(output));
        outcomes[i] = OutcomeFile.read(output);
      } else {
        left.add(i);
      }
    }
    List<TrainOutcome> made =
        together(
            left.stream()
                .map(
                    i ->
                        (Function<RunsTogether, TrainOutcome>)
                            runs -> run.apply(setups.get(i), runs))
                .toList(),
            store);
    for (int i = 0; i < left.size(); i++) {
      outcomes[left.get(i)] = made.get(i);
    }
    return List.of(outcomes);
  }

  /** How many there are. */
  int count() {
    return runs;
  }

  /** The same, each run with what it does. */
  private static <T> List<T> together(List<Function<RunsTogether, T>> runs, CheckpointStore store) {
    List<Throwable> failures = new ArrayList<>();
    List<T> results = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    try (RunsTogether together = new RunsTogether(runs.size(), store)) {
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
                  } catch (Throwable e) {
                    failures.set(number, e);
                  } finally {
                    together.inStep.leave();
                  }
                },
                "run-" + i);
        threads.add(thread);
      }
      threads.forEach(Thread::start);
      threads.forEach(together::await);
    }
    throwFirst(failures);
    return results;
  }

  private void await(Thread thread) {
    boolean now = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        // The runs cancel themselves; what they hold is not given up before.
        interrupted = true;
        now = true;
      }
    }
    if (now) {
      Thread.currentThread().interrupt();
    }
  }

  /** Whether the runs are to end since the thread that waits for them was interrupted. */
  boolean isInterrupted() {
    return interrupted;
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

  CheckpointStore store() {
    return store;
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
