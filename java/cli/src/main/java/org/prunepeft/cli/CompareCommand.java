package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.prunepeft.RunComparison;
import org.prunepeft.RunComparison.Difference;
import org.prunepeft.RunInfo;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.data.Metric;
import org.prunepeft.train.PairedDifference;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Compares complete runs: the settings that differ, the results, and by how much each differs from the first.",
      "",
      "Where the test examples are the same, that difference has a 95 % interval, by a paired bootstrap of the predictions. One that holds zero shows no difference."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft compare runs/supernet runs/half runs/quarter",
      "  prunepeft compare runs/a runs/b --format json"
    })
final class CompareCommand implements Runnable {
  @Parameters(
      arity = "2..*",
      paramLabel = "RUN",
      description = "Directories of complete runs; the first is what the others are compared with.")
  private List<Path> directories;

  @Mixin private TableOptions table;

  @Override
  public void run() {
    RunComparison comparison = RunComparison.of(directories);
    List<String> columns = new ArrayList<>(List.of(""));
    directories.forEach(directory -> columns.add(directory.toString()));
    List<List<Cell>> rows = new ArrayList<>();
    comparison.settings().forEach((name, values) -> rows.add(row(name, values, Cell::of)));
    List<RunInfo> runs = comparison.runs();
    for (Metric metric :
        runs.stream().map(RunInfo::metric).filter(Objects::nonNull).distinct().toList()) {
      rows.add(
          row(
              "test " + metric.label(),
              runs,
              run ->
                  run.metric() == metric && run.test() != null
                      ? new Cell(run.test(), metric.format(run.test()))
                      : Cell.of(null)));
    }
    rows.add(row("modules", runs, run -> Cell.of(run.modules())));
    rows.add(row("parameters", runs, run -> Cell.number(run.parameters(), "%,d")));
    rows.add(row("seconds", runs, run -> Cell.number(run.seconds(), "%.1f")));
    List<Cell> differences =
        row("to the first", comparison.differences(), each -> cell(each, runs.get(0).metric()));
    differences.add(1, Cell.of(null));
    rows.add(differences);
    table.print(new Table(columns, rows));
  }

  private static <T> List<Cell> row(String name, List<T> values, Function<T, Cell> cell) {
    List<Cell> row = new ArrayList<>(List.of(Cell.of(name)));
    values.forEach(value -> row.add(cell.apply(value)));
    return row;
  }

  private static Cell cell(Difference difference, Metric metric) {
    PairedDifference value = difference.value();
    return value == null
        ? Cell.of(difference.reason())
        : new Cell(
            List.of(value.difference(), value.low(), value.high()),
            "%s [%s, %s]%s"
                .formatted(
                    signed(metric, value.difference()),
                    signed(metric, value.low()),
                    signed(metric, value.high()),
                    value.holdsZero() ? ", no difference" : ""));
  }

  private static String signed(Metric metric, double value) {
    return (value > 0 ? "+" : "") + metric.formatDifference(value);
  }
}
