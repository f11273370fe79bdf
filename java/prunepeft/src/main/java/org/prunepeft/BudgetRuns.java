package org.prunepeft;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.prunepeft.data.Metric;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.run.RunsAlike;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Budget;
import org.prunepeft.settings.RunSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Markdown;

/**
 * Runs with several budgets, the largest first, so that each may go on from what the one before
 * kept.
 *
 * @param budgets in the order in which they were run
 * @param outcomes in the same order
 */
public record BudgetRuns(List<Budget> budgets, List<TrainOutcome> outcomes) {
  /** Copies the lists. */
  public BudgetRuns {
    budgets = List.copyOf(budgets);
    outcomes = List.copyOf(outcomes);
  }

  /** Makes a run. */
  @FunctionalInterface
  public interface Run {
    /**
     * {@return what its training gave}
     *
     * @param setup with the run's own directory
     * @param budget of the run
     * @param larger the directory of the run with the next larger budget; null: there is none
     * @param exceeding the directory of the run with the nearest larger budget that kept more than
     *     fits this one, so that it can be gone on with; null: there is none
     */
    TrainOutcome of(Setup setup, Budget budget, Path larger, Path exceeding);
  }

  /**
   * Runs a setup once for each budget. The setup's output becomes a directory with one for each
   * run, such as {@code keep-0.25} or {@code budget-100000}, and {@code budgets.json} and {@code
   * summary.md}.
   *
   * @param setup of the runs, but for their directories
   * @param settings with which the run of one of the budgets searches or trains, before there is
   *     one to go on from; compared but for the budget where they are resumed; null: the setup
   *     alone is, of runs that a program makes in another way
   * @param budgets one or more, distinct, all shares or all numbers
   * @param progress is notified of each run's beginning, and in the end of the directory above
   *     those of the runs
   * @param run searches or trains
   * @return the outcomes, that of the largest budget first
   * @throws IllegalArgumentException if there are no budgets, or one is there twice
   * @throws org.prunepeft.io.UnresumableRunException if they are resumed, and a complete run is of
   *     other data, another model, other plugins or other settings, but for its budget and what it
   *     began with, or the directory has runs of other budgets; nothing more is trained then
   * @throws org.prunepeft.io.RunDirectoryException if the directory can't be made or written, or
   *     that of a run in it is a symbolic link
   */
  public static BudgetRuns of(
      Setup setup, RunSettings settings, List<Budget> budgets, ProgressListener progress, Run run) {
    if (budgets.isEmpty() || new HashSet<>(budgets).size() != budgets.size()) {
      throw new IllegalArgumentException(
          "the budgets must be one or more, none of them twice, got "
              + budgets.stream().map(Budget::toString).toList());
    }
    List<Budget> falling = falling(budgets);
    return RunsInDirectory.make(
        setup,
        settings,
        progress,
        RunsAlike.Kind.BUDGET,
        falling.stream().map(BudgetRuns::name).toList(),
        directory -> {
          List<TrainOutcome> outcomes = new ArrayList<>();
          List<Path> directories = new ArrayList<>();
          for (Budget budget : falling) {
            progress.message(
                String.format(
                    Locale.ROOT, "%s, %d of %d", budget, outcomes.size() + 1, falling.size()));
            Setup own =
                directory == null ? setup : setup.withOutput(directory.writable(name(budget)));
            int done = outcomes.size();
            Path larger = done == 0 ? null : directories.get(done - 1);
            Path exceeding = exceeding(budget, outcomes, directories);
            outcomes.add(
                RunsInDirectory.outcome(own, one -> run.of(one, budget, larger, exceeding)));
            directories.add(own.output());
          }
          return new BudgetRuns(falling, outcomes);
        },
        (directory, runs) -> runs.write(directory, setup));
  }

  private static String name(Budget budget) {
    return budget.toString().replace(' ', '-');
  }

  /** A run may keep so little that it fits the next budget too: nothing is left to prune of it. */
  private static Path exceeding(
      Budget budget, List<TrainOutcome> outcomes, List<Path> directories) {
    for (int i = outcomes.size() - 1; i >= 0; i--) {
      TrainOutcome outcome = outcomes.get(i);
      if (Candidate.total(outcome.modules()) > budget.of(outcome.supernetParameters())) {
        return directories.get(i);
      }
    }
    return null;
  }

  /** {@return budgets, the largest first} */
  public static List<Budget> falling(List<Budget> budgets) {
    return budgets.stream()
        .sorted(
            Comparator.comparing((Budget budget) -> budget.parameters().orElse(0))
                .thenComparing(Budget::share)
                .reversed())
        .toList();
  }

  private void write(RunDirectory directory, Setup setup) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (int i = 0; i < budgets.size(); i++) {
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("budget", budgets.get(i).toString());
      row.put("trainable_parameters", outcomes.get(i).parameters());
      outcomes.get(i).test().metrics().forEach((metric, value) -> row.put(metric.key(), value));
      rows.add(row);
    }
    RunsInDirectory.write(directory, RunFiles.BUDGETS, Map.of("runs", rows), summary(setup));
  }

  /** A table in Markdown: a line for each budget. */
  private String summary(Setup setup) {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "# PrunePEFT: %s on %s, seed %d, %d budgets\n\n",
            setup.model(),
            setup.task(),
            setup.seed(),
            budgets.size()));
    List<String> head = new ArrayList<>(List.of("budget", "modules", "parameters"));
    for (Metric metric : outcomes.get(0).test().metrics().keySet()) {
      head.add("test " + metric.label());
    }
    List<List<String>> rows = new ArrayList<>();
    for (int i = 0; i < budgets.size(); i++) {
      TrainOutcome outcome = outcomes.get(i);
      List<String> cells = new ArrayList<>(List.of(budgets.get(i).toString()));
      cells.add(String.valueOf(outcome.modules().size()));
      cells.add(String.format(Locale.ROOT, "%,d", outcome.parameters()));
      outcome.test().metrics().forEach((metric, value) -> cells.add(metric.format(value)));
      rows.add(cells);
    }
    return text.append(Markdown.table(head, rows, i -> true)).toString();
  }
}
