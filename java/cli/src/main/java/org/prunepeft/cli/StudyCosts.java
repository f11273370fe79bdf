package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.function.Function;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.report.SignedObject;
import org.prunepeft.study.ComparisonTable;
import org.prunepeft.study.Costs;
import org.prunepeft.study.PhaseCost;
import org.prunepeft.study.StudyRun;

/** What the runs of a study cost: means for people and pages, and a row for each run. */
final class StudyCosts {
  static final String TABLES = "costs.md";
  static final String RUNS = "costs.csv";
  static final String JSON = "costs.json";

  /** Shown only where a run was on a GPU. */
  private static final String GPU = "GPU peak MiB";

  private final String study;
  private final List<StudyRun> runs;
  private final List<ComparisonTable> tables;

  StudyCosts(String study, List<StudyRun> runs, List<ComparisonTable> tables) {
    this.study = study;
    this.runs = runs;
    this.tables = tables;
  }

  /**
   * A column of the tables: a number of which they have the mean over runs.
   *
   * @param name its member in JSON
   * @param head of it in tables for people
   * @param unit what it is divided by there
   * @param of a run; null: it has none
   */
  private record CostColumn(
      String name, String head, double unit, String format, Function<Costs, Number> of) {
    private static Function<Costs, Number> searched(Function<PhaseCost, Number> of) {
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

  private static final List<CostColumn> COLUMNS =
      List.of(
          new CostColumn(
              "search_epochs", "search epochs", 1, "%.1f", CostColumn.searched(PhaseCost::epochs)),
          new CostColumn(
              "search_seconds", "search s", 1, "%.1f", CostColumn.searched(PhaseCost::seconds)),
          new CostColumn(
              "training_epochs", "training epochs", 1, "%.1f", costs -> costs.training().epochs()),
          new CostColumn(
              "training_seconds", "training s", 1, "%.1f", costs -> costs.training().seconds()),
          new CostColumn(
              "ratio",
              "ratio",
              1,
              "%.2f",
              costs -> costs.search() == null ? null : (Double) costs.ratio()),
          new CostColumn(
              "search_flop", "search TFLOP", 1e12, "%.3f", CostColumn.searched(PhaseCost::flop)),
          new CostColumn(
              "training_flop", "training TFLOP", 1e12, "%.3f", costs -> costs.training().flop()),
          new CostColumn("peak_bytes", "peak MiB", 1 << 20, "%.0f", Costs::peakBytes),
          new CostColumn("gpu_peak_bytes", GPU, 1 << 20, "%.0f", Costs::gpuPeakBytes));

  /** Means, for people. */
  String tables() {
    StringBuilder text = new StringBuilder();
    text.append("# Costs of study %s\n\n".formatted(study));
    text.append(
        """
        Means over runs. Seconds are those of the machine, beside whatever else it did. An epoch of a search may be of fewer examples; FLOP
        counts what trainings compute in the linear layers and modules, forward and backward, padding apart.
        """);
    List<CostColumn> shown =
        COLUMNS.stream()
            .filter(column -> !column.head.equals(GPU) || column.mean(runs) != null)
            .toList();
    List<String> heads = new ArrayList<>(List.of("method", "runs"));
    shown.forEach(column -> heads.add(column.head));
    for (ComparisonTable table : tables) {
      text.append(
          "\n## %s, %s%s\n\n"
              .formatted(
                  table.taskAndModel().task(),
                  table.taskAndModel().model(),
                  StudyFiles.within(table.budget())));
      text.append(
          new Table(heads, table.rows().stream().map(row -> row(row, shown)).toList())
              .text(Table.Format.MD));
    }
    return text.toString();
  }

  private static List<Cell> row(ComparisonTable.MethodResult row, List<CostColumn> shown) {
    List<Cell> cells =
        new ArrayList<>(List.of(Cell.of(row.arm().method()), Cell.of(row.runs().size())));
    for (CostColumn column : shown) {
      Double mean = column.mean(row.runs());
      cells.add(Cell.number(mean == null ? null : mean / column.unit, column.format));
    }
    return cells;
  }

  /**
   * The same means, for programs and pages: the tables' and rows' order is that of the study's.
   *
   * @param beside what the files hold that are written with it, whose checksums it keeps
   */
  String json(Map<String, String> beside) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("format", StudyJson.FORMAT);
    map.put("study", study);
    map.put("tables", tables.stream().map(StudyCosts::table).toList());
    map.put(StudyJson.FILES, StudyJson.checksums(beside));
    return SignedObject.text(JSON, map);
  }

  private static Object table(ComparisonTable table) {
    Map<String, Object> map = StudyJson.taskAndModel(table.taskAndModel());
    map.put("budget", table.budget());
    List<Object> rows = new ArrayList<>();
    for (ComparisonTable.MethodResult row : table.rows()) {
      Map<String, Object> one = StudyJson.arm(row.arm());
      one.put("runs", row.runs().size());
      COLUMNS.forEach(column -> one.put(column.name, column.mean(row.runs())));
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
      PhaseCost search = costs.search();
      List<Cell> row = new ArrayList<>(StudyFiles.key(run));
      row.add(Cell.of(search == null ? null : search.epochs()));
      row.add(Cell.of(search == null ? null : search.seconds()));
      row.add(Cell.of(search == null ? null : search.flop()));
      row.add(Cell.of(costs.training().epochs()));
      row.add(Cell.of(costs.training().seconds()));
      row.add(Cell.of(costs.training().flop()));
      row.add(StudyFiles.number(costs.ratio(), "%.3f"));
      row.add(Cell.of(costs.peakBytes()));
      row.add(Cell.of(costs.gpuPeakBytes()));
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
            "peak_bytes",
            "gpu_peak_bytes"),
        rows);
  }
}
