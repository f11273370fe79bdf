package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.function.Function;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.study.ComparisonTable;
import org.prunepeft.study.Costs;
import org.prunepeft.study.Phase;
import org.prunepeft.study.StudyRun;

/** What the runs of a study cost: means for people and pages, and a row for each run. */
final class StudyCosts {
  static final String TABLES = "costs.md";
  static final String RUNS = "costs.csv";
  static final String JSON = "costs.json";

  private final String study;
  private final List<StudyRun> runs;
  private final List<ComparisonTable> tables;

  StudyCosts(String study, List<StudyRun> runs, List<ComparisonTable> tables) {
    this.study = study;
    this.runs = runs;
    this.tables = tables;
  }

  /**
   * A number of which tables have the mean over runs.
   *
   * @param name its member in JSON
   * @param column its head in tables for people
   * @param unit what it is divided by there
   * @param of a run; null: it has none
   */
  private record Figure(
      String name, String column, double unit, String format, Function<Costs, Number> of) {
    private static Function<Costs, Number> searched(Function<Phase, Number> of) {
      return costs -> costs.search() == null ? null : of.apply(costs.search());
    }

    /** Of the runs that have kept it; null: none has. */
    private Double mean(List<StudyRun> runs) {
      OptionalDouble mean =
          runs.stream()
              .map(run -> of.apply(run.result().costs()))
              .filter(Objects::nonNull)
              .mapToDouble(Number::doubleValue)
              .average();
      return mean.isPresent() ? mean.getAsDouble() : null;
    }
  }

  private static final List<Figure> FIGURES =
      List.of(
          new Figure("search_epochs", "search epochs", 1, "%.1f", Figure.searched(Phase::epochs)),
          new Figure("search_seconds", "search s", 1, "%.1f", Figure.searched(Phase::seconds)),
          new Figure(
              "training_epochs", "training epochs", 1, "%.1f", costs -> costs.training().epochs()),
          new Figure(
              "training_seconds", "training s", 1, "%.1f", costs -> costs.training().seconds()),
          new Figure(
              "ratio",
              "ratio",
              1,
              "%.2f",
              costs -> costs.search() == null ? null : (Double) costs.ratio()),
          new Figure("search_flop", "search TFLOP", 1e12, "%.3f", Figure.searched(Phase::flop)),
          new Figure(
              "training_flop", "training TFLOP", 1e12, "%.3f", costs -> costs.training().flop()),
          new Figure("peak_bytes", "peak MiB", 1 << 20, "%.0f", Costs::peakBytes));

  /** Means, for people. */
  String tables() {
    StringBuilder text = new StringBuilder();
    text.append("# Costs of study %s\n\n".formatted(study));
    text.append(
        """
        Means over runs. Seconds are those of the machine, beside whatever else it did. An epoch of a search may be of fewer examples; FLOP
        counts what trainings compute in the linear layers and modules, forward and backward, padding apart.
        """);
    List<String> columns = new ArrayList<>(List.of("method", "runs"));
    FIGURES.forEach(figure -> columns.add(figure.column));
    for (ComparisonTable table : tables) {
      text.append(
          "\n## %s, %s%s\n\n"
              .formatted(
                  table.setting().task(),
                  table.setting().model(),
                  StudyFiles.within(table.budget())));
      text.append(
          new Table(columns, table.rows().stream().map(StudyCosts::row).toList())
              .text(Table.Format.MD));
    }
    return text.toString();
  }

  private static List<Cell> row(ComparisonTable.Row row) {
    List<Cell> cells =
        new ArrayList<>(List.of(Cell.of(row.arm().method()), Cell.of(row.runs().size())));
    for (Figure figure : FIGURES) {
      Double mean = figure.mean(row.runs());
      cells.add(RunsCommand.number(mean == null ? null : mean / figure.unit, figure.format));
    }
    return cells;
  }

  /** The same means, for programs and pages: the tables' and rows' order is that of the study's. */
  String json() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("format", StudyJson.FORMAT);
    map.put("study", study);
    map.put("tables", tables.stream().map(StudyCosts::table).toList());
    try {
      return new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(map) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Object table(ComparisonTable table) {
    Map<String, Object> map = StudyJson.setting(table.setting());
    map.put("budget", table.budget());
    List<Object> rows = new ArrayList<>();
    for (ComparisonTable.Row row : table.rows()) {
      Map<String, Object> one = StudyJson.arm(row.arm());
      one.put("runs", row.runs().size());
      FIGURES.forEach(figure -> one.put(figure.name, figure.mean(row.runs())));
      rows.add(one);
    }
    map.put("rows", rows);
    return map;
  }

  /** A row for each run. */
  Table runsTable() {
    List<List<Cell>> rows = new ArrayList<>();
    for (StudyRun run : runs) {
      Costs costs = run.result().costs();
      Phase search = costs.search();
      List<Cell> row = new ArrayList<>(StudyFiles.key(run));
      row.add(Cell.of(search == null ? null : search.epochs()));
      row.add(Cell.of(search == null ? null : search.seconds()));
      row.add(Cell.of(search == null ? null : search.flop()));
      row.add(Cell.of(costs.training().epochs()));
      row.add(Cell.of(costs.training().seconds()));
      row.add(Cell.of(costs.training().flop()));
      row.add(StudyFiles.number(costs.ratio(), "%.3f"));
      row.add(Cell.of(costs.peakBytes()));
      rows.add(row);
    }
    return new Table(
        StudyFiles.columns(
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
}
