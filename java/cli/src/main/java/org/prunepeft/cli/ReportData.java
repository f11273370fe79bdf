package org.prunepeft.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.RunComparison;
import org.prunepeft.RunComparison.Difference;
import org.prunepeft.RunContents;
import org.prunepeft.RunInfo;
import org.prunepeft.SeedRuns.Aggregate;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunPhase;
import org.prunepeft.train.MetricInterval;
import org.prunepeft.train.PairedDifference;

/** What a report says of all its runs: their differences, seeds, and a table. */
final class ReportData {
  private static final String SEED = "setup.seed";

  /** Settings that have a column of their own. */
  private static final Set<String> SHOWN = Set.of("command", "setup.task", SEED);

  /** Leaves room for the scripts, in a page of 2 MB. */
  static final long MOST_IN_PAGE = 1_400_000;

  /** Of a page: each takes a thousand draws. */
  static final int MOST_COMPARED = 20;

  private final List<String> names;
  private final List<RunContents> runs;
  private final List<JsonNode> studies;
  private final int mostCompared;
  private final List<String> notes = new ArrayList<>();

  /** Of the test metric, by run; none where no predictions were kept. */
  private final Map<Path, MetricInterval> intervals = new HashMap<>();

  /** By run; of the first, and where it can't be said, none. */
  private final Map<Path, PairedDifference> differences = new HashMap<>();

  /**
   * @param runs 1 or more
   */
  ReportData(List<RunContents> runs) {
    this(runs, List.of(), MOST_COMPARED);
  }

  /**
   * @param runs may be none where there are studies
   * @param studies what their directories say
   * @param mostCompared of how many runs, the first ones, intervals and differences are drawn
   */
  ReportData(List<RunContents> runs, List<JsonNode> studies, int mostCompared) {
    this.mostCompared = mostCompared;
    this.runs = List.copyOf(runs);
    this.studies = List.copyOf(studies);
    this.names = names(runs);
    runs.stream().limit(mostCompared).forEach(this::measure);
    compare();
    if (runs.stream().skip(mostCompared).anyMatch(run -> run.info().test() != null)) {
      notes.add(
          "intervals and differences are those of the first %d of %d runs; report --format json, md or csv has those of all"
              .formatted(mostCompared, runs.size()));
    }
  }

  /** The directories without what all of them begin with. */
  private static List<String> names(List<RunContents> runs) {
    if (runs.isEmpty()) {
      return List.of();
    }
    Path common = runs.get(0).info().directory().toAbsolutePath().normalize().getParent();
    for (RunContents run : runs) {
      while (common != null
          && !run.info().directory().toAbsolutePath().normalize().startsWith(common)) {
        common = common.getParent();
      }
    }
    Path from = common;
    return runs.stream()
        .map(run -> run.info().directory().toAbsolutePath().normalize())
        .map(path -> (from == null ? path : from.relativize(path)).toString())
        .toList();
  }

  private void measure(RunContents run) {
    Metric metric = run.info().metric();
    run.predictions()
        .filter(kept -> metric != null && kept.targets().length > 0)
        .ifPresent(
            kept ->
                intervals.put(
                    run.info().directory(),
                    MetricInterval.of(metric, kept.predictions(), kept.targets())));
  }

  /** {@return both ends of the test metric's interval; null: not known} */
  private List<Double> interval(RunInfo info) {
    MetricInterval interval = intervals.get(info.directory());
    return interval == null ? null : List.of(interval.low(), interval.high());
  }

  private void compare() {
    if (runs.isEmpty() || runs.get(0).info().test() == null) {
      return;
    }
    List<Path> complete =
        runs.stream()
            .filter(run -> run.info().test() != null)
            .filter(run -> run.info().metric() == runs.get(0).info().metric())
            .map(run -> run.info().directory())
            .limit(mostCompared)
            .toList();
    if (complete.size() < 2) {
      return;
    }
    try {
      List<Difference> found = RunComparison.of(complete).differences();
      for (int i = 0; i < found.size(); i++) {
        if (found.get(i).value() != null) {
          differences.put(complete.get(i + 1), found.get(i).value());
        }
      }
    } catch (RunDirectoryException e) {
      notes.add(e.getMessage());
    }
  }

  /** In a few words. */
  String title() {
    if (!studies.isEmpty()) {
      return studies.stream()
          .map(study -> "study " + study.get("study").asText())
          .collect(Collectors.joining(", "));
    }
    return runs.size() == 1
        ? "%s on %s".formatted(RunsCommand.model(info(0)), info(0).task())
        : runs.size() + " runs";
  }

  /**
   * {@return all of it, for JSON}
   *
   * @param texts gives a run's test examples by their ids
   * @param most bytes that all of it takes about; runs whose details would be beyond have none, but
   *     for the first
   */
  Map<String, Object> toMap(Function<RunContents, Map<String, Example>> texts, long most) {
    List<Object> details = new ArrayList<>();
    Object overview = overview();
    long bytes = ReportPage.json(overview).length() + ReportPage.json(studies).length();
    for (int i = 0; i < runs.size() && (bytes <= most || i == 0); i++) {
      Map<String, Object> story = ReportRun.of(names.get(i), runs.get(i), texts);
      story.put("interval", interval(info(i)));
      Object run = rounded(story);
      bytes += ReportPage.json(run).getBytes(StandardCharsets.UTF_8).length;
      if (bytes <= most || i == 0) {
        details.add(run);
      }
    }
    if (details.size() < runs.size()) {
      notes.add(
          "%d of %d runs are drawn in detail; name the others alone for theirs"
              .formatted(details.size(), runs.size()));
    }
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("studies", studies);
    map.put("overview", overview);
    map.put("seeds", seeds());
    map.put("phases", Stream.of(RunPhase.values()).map(RunPhase::toString).toList());
    map.put("runs", details);
    map.put("notes", notes);
    return map;
  }

  private Object overview() {
    List<Object> rows = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      RunContents run = runs.get(i);
      RunInfo info = run.info();
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("name", names.get(i));
      row.put("state", info.state());
      row.put("began", info.began().toString());
      row.put("command", info.command());
      row.put("model", RunsCommand.model(info));
      row.put("task", info.task());
      row.put("seed", run.setup().map(setup -> setup.seed()).orElse(null));
      row.put("modules", info.modules());
      row.put("parameters", info.parameters());
      row.put("share", info.share());
      row.put("metric", info.metric() == null ? null : info.metric().label());
      row.put("percent", percent(info.metric()));
      row.put("examples", examples(run));
      row.put("test", info.test());
      row.put("interval", interval(info));
      PairedDifference difference = differences.get(info.directory());
      row.put(
          "toFirst",
          difference == null
              ? null
              : List.of(difference.difference(), difference.low(), difference.high()));
      row.put("seconds", info.seconds());
      Map<String, Object> different = new LinkedHashMap<>();
      differentSettings().forEach(name -> different.put(name, run.settings().get(name)));
      row.put("settings", different);
      rows.add(rounded(row));
    }
    return rows;
  }

  /** Whether a metric is a share. */
  static boolean percent(Metric metric) {
    return metric != null && metric.format(1).endsWith("%");
  }

  private static Object examples(RunContents run) {
    return run.result().get("test") instanceof Map<?, ?> test ? test.get("examples") : null;
  }

  /** Mean and deviation of runs that differ in their seed alone; of one seed's runs the first. */
  private List<Object> seeds() {
    Map<Map<String, Object>, Map<Object, Integer>> groups = new LinkedHashMap<>();
    for (int i = 0; i < runs.size(); i++) {
      if (runs.get(i).info().test() != null) {
        Map<String, Object> settings = new LinkedHashMap<>(runs.get(i).settings());
        Object seed = settings.remove(SEED);
        groups.computeIfAbsent(settings, key -> new LinkedHashMap<>()).putIfAbsent(seed, i);
      }
    }
    List<Object> seeds = new ArrayList<>();
    groups.values().stream()
        .map(bySeed -> List.copyOf(bySeed.values()))
        .filter(members -> members.size() > 1)
        .forEach(
            members -> {
              Aggregate test =
                  Aggregate.of(members.stream().mapToDouble(i -> info(i).test()).toArray());
              Map<String, Object> group = new LinkedHashMap<>();
              group.put("runs", members.stream().map(names::get).toList());
              group.put("percent", percent(info(members.get(0)).metric()));
              group.put("mean", test.mean());
              group.put("deviation", test.deviation());
              group.put("least", test.least());
              group.put("most", test.most());
              seeds.add(rounded(group));
            });
    return seeds;
  }

  private RunInfo info(int run) {
    return runs.get(run).info();
  }

  private Set<String> differentSettings() {
    Set<String> names = new LinkedHashSet<>();
    runs.forEach(run -> names.addAll(run.settings().keySet()));
    names.removeIf(
        name ->
            SHOWN.contains(name)
                || runs.stream()
                        .map(run -> String.valueOf(run.settings().get(name)))
                        .distinct()
                        .count()
                    == 1);
    return names;
  }

  /** What the phases took, as far as it is known of one of the runs. */
  private List<Figure> figures() {
    return Stream.of(
            figures(" seconds", "%.1f", RunPhase::seconds),
            figures(" peak bytes", "%,d", RunPhase::peakBytes),
            figures(" GPU peak bytes", "%,d", RunPhase::gpuPeakBytes))
        .flatMap(Function.identity())
        .filter(figure -> runs.stream().anyMatch(run -> figure.of.apply(run.result()) != null))
        .toList();
  }

  private static Stream<Figure> figures(
      String name, String format, BiFunction<RunPhase, Map<String, ?>, Number> of) {
    return Stream.of(RunPhase.values())
        .map(phase -> new Figure(phase + name, format, result -> of.apply(phase, result)));
  }

  /** A number of a run's result; null: not known. */
  private record Figure(String name, String format, Function<Map<String, Object>, Number> of) {}

  /** A row for each run, with the settings in which they differ. */
  Table table() {
    List<String> columns =
        new ArrayList<>(
            List.of(
                "run",
                "state",
                "command",
                "model",
                "task",
                "seed",
                "modules",
                "kept",
                "parameters",
                "metric",
                "test",
                "test low",
                "test high",
                "to the first",
                "low",
                "high",
                "seconds"));
    List<Figure> figures = figures();
    figures.forEach(figure -> columns.add(figure.name));
    Set<String> settings = differentSettings();
    columns.addAll(settings);
    List<List<Cell>> rows = new ArrayList<>();
    for (int i = 0; i < runs.size(); i++) {
      rows.add(row(i, figures, settings));
    }
    return new Table(columns, rows);
  }

  private List<Cell> row(int index, List<Figure> figures, Set<String> settings) {
    RunContents run = runs.get(index);
    RunInfo info = run.info();
    Metric metric = info.metric();
    PairedDifference difference = differences.get(info.directory());
    List<Cell> row = new ArrayList<>();
    row.add(Cell.of(names.get(index)));
    row.add(Cell.of(info.state()));
    row.add(Cell.of(info.command()));
    row.add(Cell.of(RunsCommand.model(info)));
    row.add(Cell.of(info.task()));
    row.add(Cell.of(run.setup().map(setup -> setup.seed()).orElse(null)));
    row.add(Cell.of(info.modules()));
    row.add(Cell.number(info.share(), "%.3f"));
    row.add(Cell.number(info.parameters(), "%,d"));
    row.add(Cell.of(metric == null ? null : metric.key()));
    row.add(metric(metric, info.test()));
    List<Double> interval = interval(info);
    row.add(metric(metric, interval == null ? null : interval.get(0)));
    row.add(metric(metric, interval == null ? null : interval.get(1)));
    row.add(metric(metric, difference == null ? null : difference.difference()));
    row.add(metric(metric, difference == null ? null : difference.low()));
    row.add(metric(metric, difference == null ? null : difference.high()));
    row.add(Cell.number(info.seconds(), "%.1f"));
    figures.forEach(figure -> row.add(Cell.number(figure.of.apply(run.result()), figure.format)));
    settings.forEach(name -> row.add(Cell.of(run.settings().get(name))));
    return row;
  }

  private static Cell metric(Metric metric, Double value) {
    return value == null || metric == null ? Cell.of(null) : new Cell(value, metric.format(value));
  }

  /** Numbers with six digits: more can't be seen. What is no number is null. */
  private static Object rounded(Object value) {
    if (value instanceof Map<?, ?> map) {
      Map<Object, Object> copy = new LinkedHashMap<>();
      map.forEach((name, member) -> copy.put(name, rounded(member)));
      return copy;
    }
    if (value instanceof List<?> list) {
      List<Object> copy = new ArrayList<>();
      list.forEach(member -> copy.add(rounded(member)));
      return copy;
    }
    if (value instanceof Double number) {
      return Double.isFinite(number)
          ? new BigDecimal(number).round(new MathContext(6)).doubleValue()
          : null;
    }
    return value;
  }
}
