package org.prunepeft.study;

import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.prunepeft.data.Metric;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.LearningCurve;
import org.prunepeft.report.RunPhase;
import org.prunepeft.report.RunSchema;

/**
 * What a complete run says.
 *
 * @param metric the task's first
 * @param test its value on the test part
 * @param validation all metrics of the kept epoch on validation data, by their keys; none: it was
 *     not validated
 * @param parameters trainable ones, the head apart
 * @param supernetParameters of all modules that there are
 * @param costs what it took
 */
public record RunResult(
    Metric metric,
    double test,
    Map<String, Double> validation,
    long parameters,
    long supernetParameters,
    Costs costs) {
  /** What the training is called whose weights are kept. */
  private static final String KEPT = "train";

  /** Copies the map. */
  public RunResult {
    validation = Map.copyOf(validation);
  }

  /**
   * Reads it.
   *
   * @param directory of the run
   * @return what it says
   * @throws RunDirectoryException if the run is absent, incomplete or damaged
   */
  public static RunResult read(Path directory) {
    RunDirectory run = Manifest.open(directory, Set.of(RunFiles.CONFIG, RunFiles.METRICS));
    Map<String, Object> result = run.readJson(RunFiles.RESULT);
    Metric metric = RunSchema.of(run.path()).primary();
    Map<String, Double> test = numbers(result.get("test"));
    if (!test.containsKey(metric.key())) {
      throw new RunDirectoryException(
          "%s, test: it has no %s".formatted(run.file(RunFiles.RESULT), metric.key()));
    }
    return new RunResult(
        metric,
        test.get(metric.key()),
        numbers(result.get("validation")),
        required(run, result, "trainable_parameters").longValue(),
        required(run, result, "supernet_parameters").longValue(),
        costs(run, result));
  }

  private static Costs costs(RunDirectory run, Map<String, Object> result) {
    PhaseCost training =
        new PhaseCost(
            required(run, result, "epochs").intValue(),
            required(run, result, "training_seconds").doubleValue(),
            flop(result, "training_flop"));
    Long peak = most(RunPhase::peakBytes, result);
    Long gpuPeak = most(RunPhase::gpuPeakBytes, result);
    if (!result.containsKey("round_seconds")) {
      return new Costs(null, training, peak, gpuPeak);
    }
    List<LearningCurve> searched =
        LearningCurve.read(run.path()).stream()
            .filter(one -> !one.training().equals(KEPT))
            .toList();
    double seconds =
        required(run, result, "warm_up_seconds").doubleValue()
            + required(run, result, "round_seconds").doubleValue();
    int epochs = searched.stream().mapToInt(one -> one.epochs().size()).sum();
    return new Costs(
        new PhaseCost(epochs, seconds, flop(result, "search_flop")), training, peak, gpuPeak);
  }

  /** Of all phases that have kept it. */
  private static Long most(
      BiFunction<RunPhase, Map<String, ?>, Long> peak, Map<String, Object> result) {
    return Stream.of(RunPhase.values())
        .map(phase -> peak.apply(phase, result))
        .filter(Objects::nonNull)
        .max(Comparator.naturalOrder())
        .orElse(null);
  }

  private static Double flop(Map<String, Object> result, String name) {
    Number value = number(result.get(name));
    return value == null ? null : value.doubleValue();
  }

  private static Number required(RunDirectory run, Map<String, Object> result, String name) {
    Number value = number(result.get(name));
    if (value == null) {
      throw new RunDirectoryException(
          "%s has no number %s".formatted(run.file(RunFiles.RESULT), name));
    }
    return value;
  }

  private static Map<String, Double> numbers(Object members) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    if (members instanceof Map<?, ?> map) {
      map.forEach(
          (name, value) -> {
            Number number = number(value);
            if (number != null) {
              numbers.put(String.valueOf(name), number.doubleValue());
            }
          });
    }
    return numbers;
  }

  private static Number number(Object value) {
    return value instanceof Number number ? number : null;
  }
}
