package org.prunepeft.cli;

import java.nio.file.Path;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import org.prunepeft.RunContents;
import org.prunepeft.RunInfo;
import org.prunepeft.cli.Table.Cell;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
    name = "runs",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Lists the runs in a directory and up to "
            + RunContents.DEPTH
            + " levels below it, complete or not.",
    footer = {
      "",
      "Examples:",
      "  prunepeft runs                                 those in the directory runs",
      "  prunepeft runs experiments --format csv        for a spreadsheet"
    })
final class RunsCommand implements Runnable {
  private static final List<String> COLUMNS =
      List.of(
          "run",
          "began",
          "command",
          "model",
          "task",
          "modules",
          "kept",
          "parameters",
          "metric",
          "test",
          "seconds",
          "state");

  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss");

  @Parameters(
      arity = "0..1",
      defaultValue = "runs",
      paramLabel = "DIR",
      description = "Where the runs are (default: ${DEFAULT-VALUE}).")
  private Path directory;

  @Mixin private TableOptions table;

  @Override
  public void run() {
    List<RunInfo> runs = RunInfo.list(directory);
    if (runs.isEmpty()) {
      System.err.printf(
          "prunepeft: there are no runs in %s and up to %d levels below it%n",
          directory, RunContents.DEPTH);
    }
    table.print(new Table(COLUMNS, runs.stream().map(this::row).toList()));
  }

  private List<Cell> row(RunInfo run) {
    Path within = directory.relativize(run.directory());
    String name = within.toString().isEmpty() ? directory.toString() : within.toString();
    return List.of(
        Cell.of(name),
        new Cell(run.began().toString(), TIME.format(run.began().atZone(ZoneId.systemDefault()))),
        Cell.of(run.command()),
        new Cell(run.model(), run.model() == null ? "" : model(run)),
        Cell.of(run.task()),
        Cell.of(run.modules()),
        Cell.number(run.share(), "%.3f"),
        Cell.number(run.parameters(), "%,d"),
        Cell.of(run.metric() == null ? null : run.metric().key()),
        new Cell(run.test(), run.test() == null ? "" : run.metric().format(run.test())),
        Cell.number(run.seconds(), "%.1f"),
        Cell.of(run.state()));
  }

  /** The model's name, or that of its directory; null: not known. */
  static String model(RunInfo run) {
    return run.model() == null ? null : Path.of(run.model()).getFileName() + "";
  }
}
