package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.data.Metric;
import org.prunepeft.study.Comparison;
import org.prunepeft.study.ComparisonTable;
import org.prunepeft.study.Costs;
import org.prunepeft.study.Difference;
import org.prunepeft.study.Interval;
import org.prunepeft.study.OverallTable;
import org.prunepeft.study.Phase;
import org.prunepeft.study.RunResult;
import org.prunepeft.study.StudyRun;

/**
 * Writes what a study says: tables for people, a row for each run, all of it as JSON. What it cost
 * has files of its own: those of the same runs made again differ in nothing else.
 */
final class StudyFiles {
  static final String TABLES = "study.md";
  static final String JSON = "study.json";
  private static final String RUNS = "study.csv";
  private static final String COSTS = "costs.md";
  private static final String COSTS_OF_RUNS = "costs.csv";

  private final Study study;
  private final StudyPlan plan;
  private final StudyDirectory directory;
  private final List<StudyRun> runs;
  private final List<String> missing;
  private final List<ComparisonTable> tables;
  private final List<OverallTable> overall;

  StudyFiles(Study study, StudyPlan plan, StudyDirectory directory) {
    this.study = study;
    this.plan = plan;
    this.directory = directory;
    runs = directory.collected();
    missing =
        plan.compared().stream()
            .filter(run -> !directory.isComplete(run))
            .map(PlannedRun::name)
            .toList();
    tables = ComparisonTable.of(runs, study.comparedWith());
    overall = OverallTable.of(tables, study.comparedWith());
  }

  /** Runs that are compared and are not complete, by their names. */
  List<String> missing() {
    return missing;
  }

  /** Writes all files, each as a whole. */
  void write() throws IOException {
    Files.createDirectories(directory.root());
    write(TABLES, tables());
    write(RUNS, runsTable().text(Table.Format.CSV));
    write(JSON, StudyJson.of(study, tables, overall, rates(), missing) + "\n");
    write(COSTS, costs());
    write(COSTS_OF_RUNS, costsTable().text(Table.Format.CSV));
  }

  private void write(String name, String text) throws IOException {
    Path file = directory.root().resolve(name);
    Outputs.write(file, writer -> writer.write(text));
  }

  /** The tables for people. */
  String tables() {
    StringBuilder text = new StringBuilder();
    text.append("# Study %s\n\n".formatted(study.name()));
    text.append(
        "%d of %d runs: tasks %s; models %s; seeds %s.\n"
            .formatted(
                runs.size(),
                plan.compared().size(),
                String.join(", ", study.tasks().keySet()),
                String.join(", ", study.models().keySet()),
                String.join(", ", study.seeds().stream().map(String::valueOf).toList())));
    if (!missing.isEmpty()) {
      text.append("\nMissing: %s\n".formatted(String.join(", ", missing)));
    }
    text.append(
        """

        A seed's value is the mean over its random draws. Values are of the test part, in points: hundredths of the metric, but of a
        log-likelihood. Intervals are of 95 %, over seeds: by Student's t, and of differences also by a bootstrap of the pairs. p is
        Student's, and by Holm's correction over all pairs of a table. A difference shows only if neither interval holds zero and the
        corrected p is below 5 %.
        """);
    overall.forEach(table -> overall(text, table));
    tables.forEach(table -> setting(text, table));
    rates(text);
    text.append("\nWhat runs cost is in %s.\n".formatted(COSTS));
    return text.toString();
  }

  private static String within(String budget) {
    return budget == null ? "" : ", budget " + budget;
  }

  private void overall(StringBuilder text, OverallTable table) {
    text.append("\n## Over all tasks%s\n\n".formatted(within(table.budget())));
    text.append(
        "Each task and model counts alike. The rank is over those that have all methods, 1 for the best; the interval is of\n"
            + "these tasks, from the variance over seeds within each.\n\n");
    List<List<Cell>> rows = new ArrayList<>();
    for (OverallTable.Row row : table.rows()) {
      rows.add(
          List.of(
              Cell.of(row.arm().method()),
              Cell.of(row.tables()),
              number(row.rank(), "%.2f"),
              number(100 * row.mean(), "%.2f")));
    }
    text.append(
        new Table(List.of("method", "tasks", "rank", "mean, points"), rows).text(Table.Format.MD));
    comparisons(text, table.comparisons(), null);
  }

  private void setting(StringBuilder text, ComparisonTable table) {
    text.append(
        "\n## %s, %s%s: %s\n\n"
            .formatted(
                table.setting().task(),
                table.setting().model(),
                within(table.budget()),
                table.metric().label()));
    List<List<Cell>> rows = new ArrayList<>();
    for (ComparisonTable.Row row : table.rows()) {
      Interval interval = row.test().interval();
      rows.add(
          List.of(
              Cell.of(row.arm().method()),
              Cell.of(rate(row)),
              Cell.of(row.test().count()),
              new Cell(row.test().mean(), points(row.test().mean(), table.metric())),
              Cell.of(interval == null ? null : ends(interval, table.metric(), false)),
              new Cell(
                  row.test().deviation(),
                  row.test().count() == 1 ? "" : points(row.test().deviation(), table.metric())),
              RunsCommand.number(Math.round(row.parameters()), "%,d")));
    }
    text.append(
        new Table(
                List.of("method", "rate", "seeds", "points", "interval", "deviation", "parameters"),
                rows)
            .text(Table.Format.MD));
    comparisons(text, table.comparisons(), table.metric());
  }

  private static String rate(ComparisonTable.Row row) {
    return row.runs().get(0).rate();
  }

  /**
   * @param metric null: of several
   */
  private static void comparisons(StringBuilder text, List<Comparison> comparisons, Metric metric) {
    if (comparisons.isEmpty()) {
      return;
    }
    List<List<Cell>> rows = new ArrayList<>();
    for (Comparison one : comparisons) {
      Interval student = one.difference().student();
      Interval drawn = one.difference().bootstrap();
      rows.add(
          List.of(
              Cell.of(one.arm().method()),
              Cell.of(one.other().method()),
              Cell.of(one.difference().pairs()),
              new Cell(one.difference().mean(), signed(one.difference().mean(), metric)),
              Cell.of(student == null ? null : ends(student, metric, true)),
              Cell.of(drawn == null ? null : ends(drawn, metric, true)),
              number(one.difference().p(), "%.4f"),
              number(one.adjusted(), "%.4f"),
              Cell.of(words(one))));
    }
    text.append('\n')
        .append(
            new Table(
                    List.of(
                        "method",
                        "to",
                        "pairs",
                        "difference",
                        "Student",
                        "bootstrap",
                        "p",
                        "p, Holm",
                        "shows"),
                    rows)
                .text(Table.Format.MD));
  }

  private static String words(Comparison one) {
    return switch (one.verdict()) {
      case BETTER -> "better";
      case WORSE -> "worse";
      case NONE -> none(one.difference());
    };
  }

  private static String none(Difference difference) {
    if (difference.student() != null) {
      return "no difference";
    }
    return difference.pairs() == 1 ? "one seed says nothing" : "too few seeds to judge";
  }

  private static String ends(Interval interval, Metric metric, boolean signed) {
    return signed
        ? "[%s, %s]".formatted(signed(interval.low(), metric), signed(interval.high(), metric))
        : "[%s, %s]".formatted(points(interval.low(), metric), points(interval.high(), metric));
  }

  private static String signed(double value, Metric metric) {
    String text = points(value, metric);
    return value > 0 ? "+" + text : text;
  }

  private static String points(double value, Metric metric) {
    return metric == Metric.LOG_LIKELIHOOD
        ? RunsCommand.number(value, "%.4f").text()
        : RunsCommand.number(100 * value, "%.2f").text();
  }

  private static Cell number(double value, String format) {
    return Double.isNaN(value) ? Cell.of(null) : RunsCommand.number(value, format);
  }

  /**
   * A learning rate that was chosen.
   *
   * @param run one of those that it is for
   * @param tried validation metric by candidate; null: its run is missing
   */
  record Rate(StudyRun run, Map<String, Double> tried) {}

  private List<Rate> rates() {
    List<Rate> rates = new ArrayList<>();
    Set<String> seen = new LinkedHashSet<>();
    for (PlannedRun run : plan.compared()) {
      List<PlannedRun> tryouts = plan.tryouts(run);
      if (tryouts.isEmpty() || !seen.add(run.setting() + " " + run.arm())) {
        continue;
      }
      runs.stream()
          .filter(one -> one.setting().equals(run.setting()) && one.arm().equals(run.arm()))
          .findFirst()
          .ifPresent(
              one -> {
                Map<String, Double> tried = new LinkedHashMap<>();
                for (PlannedRun tryout : tryouts) {
                  RunResult result = directory.result(tryout);
                  String metric = run.method().rates().metric();
                  tried.put(
                      tryout.tried(),
                      result.validation().get(metric == null ? result.metric().key() : metric));
                }
                rates.add(new Rate(one, tried));
              });
    }
    return rates;
  }

  private void rates(StringBuilder text) {
    List<Rate> rates = rates();
    if (rates.isEmpty()) {
      return;
    }
    text.append(
        "\n## Learning rates\n\nThe best on validation data, on a seed that no table has.\n\n");
    List<List<Cell>> rows = new ArrayList<>();
    for (Rate rate : rates) {
      StudyRun run = rate.run;
      rows.add(
          List.of(
              Cell.of(run.setting().task()),
              Cell.of(run.setting().model()),
              Cell.of(run.arm().toString()),
              Cell.of(run.rate()),
              Cell.of(
                  String.join(
                      ", ",
                      rate.tried.entrySet().stream()
                          .map(
                              one ->
                                  "%s: %s"
                                      .formatted(
                                          one.getKey(),
                                          points(one.getValue(), run.result().metric())))
                          .toList()))));
    }
    text.append(
        new Table(List.of("task", "model", "method", "rate", "tried, in points"), rows)
            .text(Table.Format.MD));
  }

  private Table runsTable() {
    List<List<Cell>> rows = new ArrayList<>();
    for (StudyRun run : runs) {
      List<Cell> row = new ArrayList<>(key(run));
      RunResult result = run.result();
      row.add(Cell.of(run.rate()));
      row.add(Cell.of(result.metric().key()));
      row.add(Cell.of(result.test()));
      row.add(Cell.of(result.validation().get(result.metric().key())));
      row.add(Cell.of(result.parameters()));
      row.add(Cell.of((double) result.parameters() / result.supernetParameters()));
      rows.add(row);
    }
    return new Table(
        columns("learning_rate", "metric", "test", "validation", "parameters", "share"), rows);
  }

  private static List<String> columns(String... more) {
    List<String> columns =
        new ArrayList<>(List.of("task", "model", "method", "budget", "seed", "draw"));
    columns.addAll(List.of(more));
    return columns;
  }

  private static List<Cell> key(StudyRun run) {
    return List.of(
        Cell.of(run.setting().task()),
        Cell.of(run.setting().model()),
        Cell.of(run.arm().method()),
        Cell.of(run.arm().budget()),
        Cell.of(run.seed()),
        Cell.of(run.draw()));
  }

  private Table costsTable() {
    List<List<Cell>> rows = new ArrayList<>();
    for (StudyRun run : runs) {
      Costs costs = run.result().costs();
      Phase search = costs.search();
      List<Cell> row = new ArrayList<>(key(run));
      row.add(Cell.of(search == null ? null : search.epochs()));
      row.add(Cell.of(search == null ? null : search.seconds()));
      row.add(Cell.of(search == null ? null : search.flop()));
      row.add(Cell.of(costs.training().epochs()));
      row.add(Cell.of(costs.training().seconds()));
      row.add(Cell.of(costs.training().flop()));
      row.add(number(costs.ratio(), "%.3f"));
      row.add(Cell.of(costs.peakBytes()));
      rows.add(row);
    }
    return new Table(
        columns(
            "search_epochs",
            "search_seconds",
            "search_flop",
            "training_epochs",
            "training_seconds",
            "training_flop",
            "search_to_training_ratio",
            "peak_bytes"),
        rows);
  }

  private String costs() {
    StringBuilder text = new StringBuilder();
    text.append("# Costs of study %s\n\n".formatted(study.name()));
    text.append(
        """
        Means over runs. Seconds are those of the machine, beside whatever else it did. An epoch of a search may be of fewer examples; FLOP
        counts what trainings compute in the linear layers and modules, forward and backward, padding apart.
        """);
    for (ComparisonTable table : tables) {
      text.append(
          "\n## %s, %s%s\n\n"
              .formatted(table.setting().task(), table.setting().model(), within(table.budget())));
      text.append(
          new Table(
                  List.of(
                      "method",
                      "runs",
                      "search epochs",
                      "search s",
                      "training epochs",
                      "training s",
                      "ratio",
                      "search TFLOP",
                      "training TFLOP",
                      "peak MiB"),
                  table.rows().stream().map(StudyFiles::costsRow).toList())
              .text(Table.Format.MD));
    }
    return text.toString();
  }

  private static List<Cell> costsRow(ComparisonTable.Row row) {
    List<Costs> costs = row.runs().stream().map(run -> run.result().costs()).toList();
    List<Phase> searches =
        costs.stream().map(Costs::search).filter(search -> search != null).toList();
    List<Phase> trainings = costs.stream().map(Costs::training).toList();
    return List.of(
        Cell.of(row.arm().method()),
        Cell.of(costs.size()),
        mean(searches.stream().map(phase -> (double) phase.epochs()).toList(), 1, "%.1f"),
        mean(searches.stream().map(Phase::seconds).toList(), 1, "%.1f"),
        mean(trainings.stream().map(phase -> (double) phase.epochs()).toList(), 1, "%.1f"),
        mean(trainings.stream().map(Phase::seconds).toList(), 1, "%.1f"),
        mean(searches.isEmpty() ? List.of() : costs.stream().map(Costs::ratio).toList(), 1, "%.2f"),
        mean(searches.stream().map(Phase::flop).toList(), 1e12, "%.3f"),
        mean(trainings.stream().map(Phase::flop).toList(), 1e12, "%.3f"),
        mean(
            costs.stream()
                .map(one -> one.peakBytes() == null ? null : (double) one.peakBytes())
                .toList(),
            1 << 20,
            "%.0f"));
  }

  /** Of the runs that have kept it. */
  private static Cell mean(List<Double> values, double unit, String format) {
    return number(
        values.stream()
            .filter(value -> value != null)
            .mapToDouble(value -> value / unit)
            .average()
            .orElse(Double.NaN),
        format);
  }
}
