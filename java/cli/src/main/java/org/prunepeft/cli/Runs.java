package org.prunepeft.cli;

import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.prunepeft.ProgressListener;
import org.prunepeft.SeedRuns;
import org.prunepeft.Setup;
import org.prunepeft.TensorBoard;
import org.prunepeft.TrainOutcome;
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
    if (options.seeds() == null) {
      once(setup);
      return;
    }
    try (ProgressDisplay display = ProgressDisplay.create(SetupOptions.yaml(spec))) {
      SeedRuns.of(
          setup,
          options.seeds(),
          display,
          own -> {
            options.take(own.seed());
            return training.apply(once(own));
          });
    }
    Report.print(setup);
  }

  private T once(Setup setup) {
    try (ProgressDisplay display = ProgressDisplay.create(SetupOptions.yaml(spec));
        TensorBoard board = options.tensorBoard() ? new TensorBoard() : null) {
      T outcome = run.apply(setup, board == null ? display : ProgressListener.of(display, board));
      display.close();
      report.accept(setup, outcome);
      return outcome;
    }
  }
}
