package org.prunepeft.cli;

import java.util.List;
import java.util.function.Supplier;
import org.prunepeft.BudgetRuns;
import org.prunepeft.PrunePeft;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.RunSettings;
import org.prunepeft.settings.Setup;
import picocli.CommandLine.Model.CommandSpec;

/** A command's run for each of several budgets. */
final class Sweep {
  private Sweep() {}

  /**
   * Makes the runs, and prints what came out.
   *
   * @param settings with which a run of one of the budgets searches or trains; asked for if
   *     anything is left to do
   * @param budgets several
   * @param run makes one of them
   */
  static void start(
      CommandSpec spec,
      SetupOptions options,
      Supplier<? extends RunSettings> settings,
      List<Budget> budgets,
      BudgetRuns.Run run) {
    Setup setup = options.setup(spec);
    if (options.seeds() != null) {
      throw new IllegalArgumentException(
          "several budgets go with one seed, got --seeds and %d budgets; name one --seed, or one budget"
              .formatted(budgets.size()));
    }
    if (PrunePeft.isOver(setup)) {
      System.err.println("the runs in " + setup.output() + " are complete; nothing is left to do");
    } else {
      try (ProgressDisplay display = ProgressDisplay.create(spec.name(), SetupOptions.yaml(spec))) {
        BudgetRuns.of(setup, settings.get(), budgets, display, run);
      }
    }
    ResultLines.print(setup);
  }
}
