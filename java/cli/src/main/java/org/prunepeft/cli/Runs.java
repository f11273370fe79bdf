package org.prunepeft.cli;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.prunepeft.PrunePeft;
import org.prunepeft.SeedRuns;
import org.prunepeft.SharedEncoder;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TensorBoard;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.settings.RunSettings;
import org.prunepeft.settings.Setup;
import picocli.CommandLine.Model.CommandSpec;

/**
 * Runs a command's setup once, or once for each of several seeds, and prints what came out.
 *
 * @param spec of the command
 * @param options of the command
 * @param settings with which it searches or trains
 * @param run does so
 * @param training what the result says of its training
 * @param report prints a result
 */
record Runs<T>(
    CommandSpec spec,
    SetupOptions options,
    RunSettings settings,
    Run<T> run,
    Function<T, TrainOutcome> training,
    BiConsumer<Setup, T> report) {

  /** Makes one run. */
  @FunctionalInterface
  interface Run<T> {
    /**
     * @param shared null: the run is alone
     */
    T of(Setup setup, ProgressListener progress, SharedEncoder shared);
  }

  void start() {
    Setup setup = options.setup(spec);
    if (PrunePeft.isOver(setup)) {
      System.err.println("the run in " + setup.output() + " is complete; nothing is left to do");
      ResultLines.print(setup);
      return;
    }
    List<Long> seeds = options.seeds();
    if (seeds == null) {
      once(setup);
      return;
    }
    boolean together = options.together();
    try (ProgressDisplay display = ProgressDisplay.create(spec.name(), SetupOptions.yaml(spec))) {
      if (together) {
        together(setup, seeds, display);
      } else {
        SeedRuns.of(
            setup,
            settings,
            seeds,
            display,
            own -> {
              options.take(own.seed());
              return training.apply(once(own));
            });
      }
    }
    ResultLines.print(setup);
  }

  /** Makes one run. */
  T once(Setup setup) {
    try (ProgressDisplay display = ProgressDisplay.create(spec.name(), SetupOptions.yaml(spec))) {
      T outcome = run(setup, display, null);
      display.close();
      report.accept(setup, outcome);
      return outcome;
    }
  }

  private T run(Setup setup, ProgressListener display, SharedEncoder shared) {
    try (TensorBoard board = options.tensorBoard() ? new TensorBoard() : null;
        PageWatch watch =
            options.watch() ? new PageWatch(display, spec.commandLine().getErr()) : null) {
      ProgressListener[] all =
          Stream.of(display, board, watch)
              .filter(Objects::nonNull)
              .toArray(ProgressListener[]::new);
      return run.of(setup, ProgressListener.of(all), shared);
    }
  }

  /** Reports come when all have ended, in the order of the seeds. */
  private void together(Setup setup, List<Long> seeds, ProgressDisplay display) {
    Map<Long, Runnable> reports = new HashMap<>();
    SharedDisplay displays = new SharedDisplay(display, seeds);
    SeedRuns.together(
        setup,
        settings,
        seeds,
        display,
        (own, shared) -> {
          // The options are read before another run's turn.
          options.take(own.seed());
          String config = SetupOptions.yaml(spec);
          try {
            T outcome = run(own, displays.of(own.seed(), config), shared);
            reports.put(own.seed(), () -> report.accept(own, outcome));
            return training.apply(outcome);
          } finally {
            displays.ended(own.seed());
          }
        });
    display.close();
    // Of a run that was complete before it was resumed there is none.
    seeds.stream().map(reports::get).filter(Objects::nonNull).forEach(Runnable::run);
  }
}
