package org.prunepeft.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import org.prunepeft.RunComparison;
import org.prunepeft.RunComparison.Difference;
import org.prunepeft.RunInfo;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.data.Metric;
import org.prunepeft.report.RunStatus;
import org.prunepeft.train.PairedDifference;
import picocli.CommandLine;
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
      "Where the test examples are the same, that difference has a 95 %% interval, by a paired bootstrap of the predictions. One that holds zero shows no difference."
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
    settings(comparison).forEach((name, values) -> rows.add(row(name, values, Cell::of)));
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

  /**
   * What differs, by the names of options that the commands of all runs have, and versions. By the
   * names in config.json where a run has no options: an import, or one of a program.
   */
  private Map<String, List<Object>> settings(RunComparison comparison) {
    Map<String, CommandLine> commands = Main.commandLine().getSubcommands();
    List<String> called = comparison.runs().stream().map(RunInfo::command).toList();
    List<Path> files = directories.stream().map(run -> run.resolve(RunStatus.OPTIONS)).toList();
    if (!files.stream().allMatch(Files::isRegularFile) || !commands.keySet().containsAll(called)) {
      return comparison.settings();
    }
    Map<String, List<Object>> different = new LinkedHashMap<>();
    if (new HashSet<>(called).size() > 1) {
      different.put("command", List.copyOf(called));
    }
    List<Map<String, Object>> each = files.stream().map(ConfigFile::read).toList();
    Set<String> keys = new LinkedHashSet<>();
    each.forEach(options -> keys.addAll(options.keySet()));
    for (String command : called) {
      keys.retainAll(new ConfigFile.Keys(commands.get(command).getCommandSpec()).names());
    }
    for (String key : keys) {
      List<Object> values = new ArrayList<>();
      each.forEach(options -> values.add(options.get(key)));
      if (new HashSet<>(values).size() > 1) {
        different.put("--" + key.replace('_', '-'), values);
      }
    }
    comparison.settings().entrySet().stream()
        .filter(setting -> setting.getKey().startsWith("versions."))
        .forEach(setting -> different.put(setting.getKey(), setting.getValue()));
    return different;
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
            "%s%s [%s, %s]%s"
                .formatted(
                    signed(metric, value.difference()),
                    ReportData.percent(metric) ? " points" : "",
                    signed(metric, value.low()),
                    signed(metric, value.high()),
                    value.holdsZero() ? ", no difference shown" : ""));
  }

  /** Of a share in points: hundredths of it. */
  private static String signed(Metric metric, double value) {
    return (value > 0 ? "+" : "")
        + (ReportData.percent(metric)
            ? String.format(Locale.ROOT, "%.2f", 100 * value)
            : metric.formatDifference(value));
  }
}
