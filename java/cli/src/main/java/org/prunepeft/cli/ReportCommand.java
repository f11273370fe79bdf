package org.prunepeft.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.prunepeft.RunContents;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.settings.Setup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "report",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Draws runs on one page: which modules went in which round and how near the others were, what the criteria said and how far they can be trusted, learning curves, time, mistakes, and the runs side by side.",
      "",
      "The page is one HTML file that needs no network. Runs that go on, or were cut off, are drawn as far as they are.",
      "",
      "md and csv: a row for each run, with the settings in which they differ. json: all that the page shows."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft report runs/earlier                            writes report.html",
      "  prunepeft report runs/seeds runs/other -o both.html      several, each with all runs in it",
      "  prunepeft report runs/small                              a study: its tables before its runs",
      "  prunepeft report runs --format csv -o runs.csv           for a spreadsheet"
    })
final class ReportCommand implements Callable<Integer> {
  /** Far more than it takes to rename six files. */
  private static final long SETTLE_MILLIS = 500;

  /** How the report is written. */
  enum Format {
    HTML,
    MD,
    CSV,
    JSON;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Mixin private RunsArgument named;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description =
          "File to write, or - for the standard output (default: report.html for html, else the standard output).")
  private Path output;

  @Option(
      names = "--format",
      defaultValue = "html",
      paramLabel = "FORMAT",
      description = "One of ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Format format;

  @Option(
      names = "--no-texts",
      description =
          "Leave out the texts of mistakes, for which the runs' data is read again; the page then holds nothing of the data but labels.")
  private boolean noTexts;

  @Mixin private PluginOptions plugins;

  /** By what makes the test part. */
  private final Map<Object, Map<String, Example>> read = new HashMap<>();

  private final List<String> unread = new ArrayList<>();
  private final List<JsonNode> studies = new ArrayList<>();

  private final Pause pause;

  ReportCommand() {
    this(Thread::sleep);
  }

  /**
   * @param pause before what seems to be damaged is read again
   */
  ReportCommand(Pause pause) {
    this.pause = pause;
  }

  @Override
  public Integer call() throws IOException {
    for (Path directory : named.directories) {
      settled(() -> StudyJson.read(directory)).ifPresent(studies::add);
    }
    Path file = output == null && format == Format.HTML ? Path.of("report.html") : output;
    List<Path> directories = named.runs(StudyJson::runs);
    directories.forEach(run -> Outputs.requireNoneOf(file, run));
    for (Path directory : named.directories) {
      StudyJson.ALL.forEach(name -> Outputs.requireOther(file, directory.resolve(name)));
    }
    List<RunContents> runs = directories.stream().map(RunContents::of).toList();
    ReportData data =
        new ReportData(
            runs, studies, format == Format.HTML ? ReportData.MOST_COMPARED : Integer.MAX_VALUE);
    String text =
        switch (format) {
          case HTML ->
              ReportPage.of(data.title(), plain(data), map(data, ReportData.MOST_IN_PAGE), 0);
          case JSON -> ReportPage.json(map(data, Long.MAX_VALUE)) + "\n";
          case MD -> data.table().text(Table.Format.MD);
          case CSV -> data.table().text(Table.Format.CSV);
        };
    Outputs.writeResult(
        file,
        writer -> {
          writer.write(text);
          return runs.size() == 1 ? "1 run" : runs.size() + " runs";
        });
    return 0;
  }

  /** Reads what a study says. */
  private interface Reading<T> {
    T read() throws IOException;
  }

  /** Lets some time pass. */
  interface Pause {
    void pass(long milliseconds) throws InterruptedException;
  }

  /** A study that goes on may have been about to rename its files, of which the first were new. */
  private <T> T settled(Reading<T> reading) throws IOException {
    try {
      return reading.read();
    } catch (DamagedRunException e) {
      try {
        pause.pass(SETTLE_MILLIS);
      } catch (InterruptedException interrupt) {
        Thread.currentThread().interrupt();
        throw e;
      }
      return reading.read();
    }
  }

  /** A study's own tables; else all runs. */
  private String plain(ReportData data) throws IOException {
    StringBuilder text = new StringBuilder();
    for (Path directory : named.directories) {
      settled(() -> StudyJson.tables(directory))
          .ifPresent(tables -> text.append(tables).append('\n'));
    }
    return text.isEmpty() ? data.table().text(Table.Format.MD) : text.toString();
  }

  private Map<String, Object> map(ReportData data, long most) {
    Map<String, Object> map = data.toMap(run -> noTexts ? Map.of() : texts(run), most);
    List<Object> notes = new ArrayList<>((List<?>) map.get("notes"));
    notes.addAll(unread);
    map.put("notes", notes);
    return map;
  }

  /** Runs of several seeds share the test part. */
  private Map<String, Example> texts(RunContents run) {
    if (run.setup().isEmpty()) {
      return Map.of();
    }
    Setup setup = run.setup().get();
    return read.computeIfAbsent(
        Arrays.asList(setup.task(), setup.data(), setup.files(), setup.sizes(), setup.testSeed()),
        key -> {
          try {
            return run.testExamples();
          } catch (DataException | IllegalArgumentException | UncheckedIOException e) {
            unread.add("the texts of mistakes are not shown: " + e.getMessage());
            return Map.of();
          }
        });
  }
}
