package org.prunepeft;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunSchema;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.train.Bootstrap;
import org.prunepeft.train.PairedDifference;

/**
 * Complete runs side by side.
 *
 * @param runs in the order in which they were named
 * @param settings those in which the runs differ, by the names of {@code config.json}, such as
 *     setup.seed; each run's value, null where it has none
 * @param differences of each run but the first to the first, in the same order
 */
public record RunComparison(
    List<RunInfo> runs, Map<String, List<Object>> settings, List<Difference> differences) {
  /**
   * How much better a run is than the first, by the first's metric, on the same test examples.
   *
   * @param value with its interval; null: it can't be said
   * @param reason why not; null: it can
   */
  public record Difference(PairedDifference value, String reason) {}

  /**
   * Compares.
   *
   * @param directories of complete runs, 2 or more
   * @return the runs side by side
   * @throws IllegalArgumentException if there are fewer
   * @throws RunDirectoryException if one is absent, incomplete or damaged
   */
  public static RunComparison of(List<Path> directories) {
    if (directories.size() < 2) {
      throw new IllegalArgumentException(
          "two runs or more are compared, got " + directories.size());
    }
    List<RunDirectory> runs = new ArrayList<>();
    for (Path directory : directories) {
      RunDirectory run = RunDirectory.open(directory);
      Manifest.verify(run);
      runs.add(run);
    }
    List<Difference> differences = new ArrayList<>();
    Predicted first = Predicted.of(runs.get(0));
    for (RunDirectory run : runs.subList(1, runs.size())) {
      differences.add(difference(Predicted.of(run), first));
    }
    return new RunComparison(
        directories.stream().map(RunInfo::of).toList(), settings(runs), differences);
  }

  private static Map<String, List<Object>> settings(List<RunDirectory> runs) {
    List<Map<String, Object>> each = runs.stream().map(RunFiles::settings).toList();
    Set<String> names = new LinkedHashSet<>();
    each.forEach(settings -> names.addAll(settings.keySet()));
    Map<String, List<Object>> different = new LinkedHashMap<>();
    for (String name : names) {
      List<Object> values = new ArrayList<>();
      each.forEach(settings -> values.add(settings.get(name)));
      if (values.stream().anyMatch(value -> !Objects.equals(value, values.get(0)))) {
        different.put(name, values);
      }
    }
    return different;
  }

  /** What a run's predictions are compared by; none: they were not kept. */
  private record Predicted(Path directory, Schema schema, Optional<TestPredictions> tests) {
    static Predicted of(RunDirectory run) {
      Schema schema = RunSchema.of(run.path());
      return new Predicted(run.path(), schema, TestPredictions.read(run.path(), schema));
    }

    boolean hasLabelsOf(Predicted other) {
      return schema.labels().equals(other.schema.labels()) && schema.kind() == other.schema.kind();
    }
  }

  private static Difference difference(Predicted own, Predicted first) {
    if (!own.hasLabelsOf(first)) {
      return new Difference(null, "other labels");
    }
    if (own.tests.isEmpty() || first.tests.isEmpty()) {
      return new Difference(null, "no predictions were kept");
    }
    TestPredictions its = own.tests.get();
    if (!its.comparesWith(first.tests.get())) {
      return new Difference(null, "other test examples");
    }
    Metric metric = first.schema.primary();
    if (own.schema.kind() == TaskKind.LANGUAGE_MODELING && !own.schema.metrics().contains(metric)) {
      return new Difference(
          null, "%s was not measured by %s".formatted(metric.label(), own.directory));
    }
    return new Difference(
        PairedDifference.of(
            metric,
            its.predictions(),
            first.tests.get().predictions(),
            its.targets(),
            Bootstrap.DRAWS),
        null);
  }
}
