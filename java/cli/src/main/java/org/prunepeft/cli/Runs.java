package org.prunepeft.cli;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.prunepeft.SeedRuns;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TensorBoard;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.settings.Setup;
import picocli.CommandLine.Model.CommandSpec;

/**
 * Runs a command's setup once, or once for each of several seeds, and prints what came out.
 *
 * @param spec of the command
 * @param options of the command
 * @param run searches or trains
 * @param training what the result says of its training
 * @param report prints a result
 */
record Runs<T>(
    CommandSpec spec,
    SetupOptions options,
    BiFunction<Setup, ProgressListener, T> run,
    Function<T, TrainOutcome> training,
    BiConsumer<Setup, T> report) {

  /** The file of a run directory that runs it again. */
  static final String CONFIG = "config.yaml";

  void start() {
    Setup setup = options.setup(spec);
    List<Long> seeds = options.seeds();
    if (seeds == null) {
      once(setup);
      return;
    }
    boolean together = options.together();
    try (ProgressDisplay display = ProgressDisplay.create(SetupOptions.yaml(spec))) {
      if (together) {
        together(setup, seeds, display);
      } else {
        SeedRuns.of(
            setup,
            seeds,
            display,
            own -> {
              options.take(own.seed());
              return training.apply(once(own));
            });
      }
    }
    Report.print(setup);
  }

  private T once(Setup setup) {
    try (ProgressDisplay display = ProgressDisplay.create(SetupOptions.yaml(spec))) {
      T outcome = run(setup, display);
      display.close();
      report.accept(setup, outcome);
      return outcome;
    }
  }

  private T run(Setup setup, ProgressListener display) {
    try (TensorBoard board = options.tensorBoard() ? new TensorBoard() : null) {
      return run.apply(setup, board == null ? display : ProgressListener.of(display, board));
    }
  }

  /** Reports come when all have ended, in the order of the seeds. */
  private void together(Setup setup, List<Long> seeds, ProgressDisplay display) {
    Map<Long, Runnable> reports = new HashMap<>();
    SharedDisplay shared = new SharedDisplay(display, seeds);
    SeedRuns.together(
        setup,
        seeds,
        display,
        own -> {
          // The options are read before another run's turn.
          options.take(own.seed());
          String config = SetupOptions.yaml(spec);
          try {
            T outcome = run(own, shared.of(own.seed(), config));
            reports.put(own.seed(), () -> report.accept(own, outcome));
            return training.apply(outcome);
          } finally {
            shared.ended(own.seed());
          }
        });
    display.close();
    seeds.forEach(seed -> reports.get(seed).run());
  }
}
