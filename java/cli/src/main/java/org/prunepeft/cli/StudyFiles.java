package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.data.Metric;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.study.ComparisonTable;
import org.prunepeft.study.DifferenceOverSeeds;
import org.prunepeft.study.Interval;
import org.prunepeft.study.MethodComparison;
import org.prunepeft.study.OverallTable;
import org.prunepeft.study.RunResult;
import org.prunepeft.study.StudyRun;

/**
 * Writes what a study says: tables for people, a row for each run, all of it as JSON. What it cost
 * has files of its own: those of the same runs made again differ in nothing else.
 */
final class StudyFiles {
  static final String TABLES = "study.md";
  static final String JSON = "study.json";
  static final String RUNS = "study.csv";

  private final Study study;
  private final StudyPlan plan;
  private final StudyDirectory directory;
  private final List<StudyRun> runs;
  private final List<String> missing;
  private final List<ComparisonTable> tables;
  private final List<OverallTable> overall;

  /**
   * @throws org.prunepeft.io.RunDirectoryException if runs are not alike, as {@link
   *     StudyDirectory#requireAlike} says
   */
  StudyFiles(Study study, StudyPlan plan, StudyDirectory directory) {
    this.study = study;
    this.plan = plan;
    this.directory = directory;
    runs = directory.collected();
    directory.requireAlike();
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

  /** In which versions the runs differ, in a line; empty: in none. */
  Optional<String> versions() {
    return directory.versions();
  }

  /**
   * Writes all files: none comes into its place before the last is on the disk. {@value #JSON} has
   * the checksums of the other tables, and {@value StudyCosts#JSON} those of its own and of that
   * one: what costs time differs where the runs are made again, and the tables do not.
   */
  void write() throws IOException {
    Files.createDirectories(directory.root());
    Map<String, String> written = new LinkedHashMap<>();
    written.put(TABLES, tables());
    written.put(RUNS, runsTable().text(Table.Format.CSV));
    String json = StudyJson.of(study, tables, overall, rates(), missing, written);
    StudyCosts costs = new StudyCosts(study.name(), runs, tables);
    Map<String, String> more = new LinkedHashMap<>();
    more.put(JSON, json);
    more.put(StudyCosts.TABLES, costs.tables());
    more.put(StudyCosts.RUNS, costs.runsTable().text(Table.Format.CSV));
    String itsJson = costs.json(more);
    written.putAll(more);
    written.put(StudyCosts.JSON, itsJson);
    Map<Path, String> files = new LinkedHashMap<>();
    written.forEach(
        (name, text) ->
            files.put(OwnFiles.require(directory.root(), directory.root().resolve(name)), text));
    Outputs.writeTogether(
        files,
        all -> {
          try {
            AtomicFile.put(all);
          } catch (IOException e) {
            throw Outputs.unwritten(directory.root(), e);
          }
        });
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
    versions().ifPresent(versions -> text.append("\n%s.\n".formatted(versions)));
    text.append(
        """

        A seed's value is the mean over its random draws. Values are of the test part, in points: hundredths of the metric, but of a
        log-likelihood. Intervals are of 95 %, over seeds: by Student's t, and of differences also by a bootstrap of the pairs. p is
        Student's, and by Holm's correction over all pairs of a table. A difference shows only if neither interval holds zero and the
        corrected p is below 5 %. Methods without a budget are compared with one another in a table of their own.
        """);
    overall.forEach(table -> overall(text, table));
    tables.forEach(table -> setting(text, table));
    rates(text);
    text.append("\nWhat runs cost is in %s.\n".formatted(StudyCosts.TABLES));
    return text.toString();
  }

  static String within(String budget) {
    return budget == null ? "" : ", budget " + budget;
  }

  private void overall(StringBuilder text, OverallTable table) {
    text.append("\n## Over all tasks%s\n\n".formatted(within(table.budget())));
    text.append(
        "Each task and model counts alike. The rank is over those that have all methods, 1 for the highest mean; by itself it shows no\n"
            + "difference. The interval is of these tasks, from the variance over seeds within each; beside it, where they have the same\n"
            + "seeds, that of each seed's mean over them. p is the larger of the two.\n\n");
    List<List<Cell>> rows = new ArrayList<>();
    for (OverallTable.MethodRank row : table.rows()) {
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
                table.taskAndModel().task(),
                table.taskAndModel().model(),
                within(table.budget()),
                table.metric().label()));
    List<List<Cell>> rows = new ArrayList<>();
    for (ComparisonTable.MethodResult row : table.rows()) {
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
              Cell.number(Math.round(row.parameters()), "%,d")));
    }
    text.append(
        new Table(
                List.of("method", "rate", "seeds", "points", "interval", "deviation", "parameters"),
                rows)
            .text(Table.Format.MD));
    comparisons(text, table.comparisons(), table.metric());
  }

  private static String rate(ComparisonTable.MethodResult row) {
    return row.runs().get(0).rate();
  }

  /**
   * @param metric null: of several
   */
  private static void comparisons(
      StringBuilder text, List<MethodComparison> comparisons, Metric metric) {
    if (comparisons.isEmpty()) {
      return;
    }
    List<List<Cell>> rows = new ArrayList<>();
    for (MethodComparison one : comparisons) {
      Interval student = one.difference().student();
      Interval drawn = metric == null ? one.difference().bySeed() : one.difference().bootstrap();
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
                        metric == null ? "of seeds" : "bootstrap",
                        "p",
                        "p, Holm",
                        "shows"),
                    rows)
                .text(Table.Format.MD));
  }

  private static String words(MethodComparison one) {
    return switch (one.conclusion()) {
      case BETTER -> "better";
      case WORSE -> "worse";
      case NO_DIFFERENCE -> none(one.difference());
    };
  }

  private static String none(DifferenceOverSeeds difference) {
    return difference.unknown() == null ? "no difference" : difference.unknown().words();
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
        ? Cell.number(value, "%.4f").text()
        : Cell.number(100 * value, "%.2f").text();
  }

  static Cell number(double value, String format) {
    return Double.isNaN(value) ? Cell.of(null) : Cell.number(value, format);
  }

  /**
   * A learning rate that was chosen.
   *
   * @param run one of those that it is for
   * @param metric by which it was chosen
   * @param tried that metric on validation data by candidate; null: its run diverged
   */
  record Rate(StudyRun run, Metric metric, Map<String, Double> tried) {}

  private List<Rate> rates() {
    List<Rate> rates = new ArrayList<>();
    Set<String> seen = new LinkedHashSet<>();
    for (PlannedRun run : plan.compared()) {
      List<PlannedRun> tryouts = plan.tryouts(run);
      if (tryouts.isEmpty() || !seen.add(run.taskAndModel() + " " + run.arm())) {
        continue;
      }
      runs.stream()
          .filter(
              one -> one.taskAndModel().equals(run.taskAndModel()) && one.arm().equals(run.arm()))
          .findFirst()
          .ifPresent(
              one -> {
                String key = run.method().rates().metric();
                Metric metric = key == null ? one.result().metric() : Metric.byKey(key);
                Map<String, Double> tried = new LinkedHashMap<>();
                for (PlannedRun tryout : tryouts) {
                  tried.put(
                      tryout.tried(),
                      directory.isComplete(tryout)
                          ? directory.result(tryout).validation().get(metric.key())
                          : null);
                }
                rates.add(new Rate(one, metric, tried));
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
        "\n## Learning rates\n\nThe best on validation data, on a seed that no table has. Values are in points, but of a log-likelihood.\n\n");
    List<List<Cell>> rows = new ArrayList<>();
    for (Rate rate : rates) {
      StudyRun run = rate.run;
      rows.add(
          List.of(
              Cell.of(run.taskAndModel().task()),
              Cell.of(run.taskAndModel().model()),
              Cell.of(run.arm().toString()),
              Cell.of(run.rate()),
              Cell.of(rate.metric.label()),
              Cell.of(tried(rate))));
    }
    text.append(
        new Table(List.of("task", "model", "method", "rate", "by", "tried"), rows)
            .text(Table.Format.MD));
  }

  private static String tried(Rate rate) {
    return rate.tried.entrySet().stream()
        .map(
            one ->
                "%s: %s"
                    .formatted(
                        one.getKey(),
                        one.getValue() == null ? "diverged" : points(one.getValue(), rate.metric)))
        .collect(Collectors.joining(", "));
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

  static List<String> columns(String... more) {
    List<String> columns =
        new ArrayList<>(List.of("task", "model", "method", "budget", "seed", "draw"));
    columns.addAll(List.of(more));
    return columns;
  }

  static List<Cell> key(StudyRun run) {
    return List.of(
        Cell.of(run.taskAndModel().task()),
        Cell.of(run.taskAndModel().model()),
        Cell.of(run.arm().method()),
        Cell.of(run.arm().budget()),
        Cell.of(run.seed()),
        Cell.of(run.draw()));
  }
}
