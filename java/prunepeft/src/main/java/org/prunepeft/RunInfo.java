package org.prunepeft;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import org.prunepeft.data.Metric;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.files.RunMark;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunPhase;

/**
 * What a run directory says in a row of a list.
 *
 * @param directory of the run
 * @param began when its settings were written first
 * @param command search, train or import
 * @param model its name or directory
 * @param task its name
 * @param modules how many are kept or trained; null: not known yet, or all of the encoder's weights
 * @param parameters trainable ones, the head apart; null: not known yet
 * @param share of the supernet's; null: not known yet
 * @param metric the task's first; null: not known
 * @param test its value on the test part; null: not known yet
 * @param seconds of the whole run, loading and fitting the head included; null: not known yet
 * @param state complete, running, cut off, interrupted, or failed and why
 */
public record RunInfo(
    Path directory,
    Instant began,
    String command,
    String model,
    String task,
    Integer modules,
    Long parameters,
    Double share,
    Metric metric,
    Double test,
    Double seconds,
    String state) {
  /**
   * {@return the runs in a directory and in those within it, by path; of several seeds each}
   *
   * @param directory such as runs
   * @throws RunDirectoryException if it can't be read
   */
  public static List<RunInfo> list(Path directory) {
    return RunDirectories.below(directory).stream().map(RunInfo::of).toList();
  }

  /**
   * {@return what a run's directory says} What a file that is missing would say is null. Where one
   * is damaged, all is null but the state, which names it.
   *
   * @param run its directory, complete or not
   */
  public static RunInfo of(Path run) {
    Instant written = RunDirectories.written(run);
    try {
      return of(run, written, RunMark.state(run));
    } catch (RunDirectoryException e) {
      return new RunInfo(
          run,
          written,
          null,
          null,
          null,
          null,
          null,
          null,
          null,
          null,
          null,
          "damaged: " + e.getMessage());
    }
  }

  private static RunInfo of(Path path, Instant written, String state) {
    RunDirectory run = Manifest.look(path, Set.of(RunFiles.CONFIG, RunFiles.CONFIGURATION));
    Map<String, Object> config = run.readIfThere(RunFiles.CONFIG);
    Map<?, ?> setup = members(config.get("setup"));
    Map<String, Object> chosen = run.readIfThere(RunFiles.CONFIGURATION);
    Map<String, Object> result = run.readIfThere(RunFiles.RESULT);
    Number parameters = number(result.get("trainable_parameters"));
    Number supernet = number(result.get("supernet_parameters"));
    Metric metric = metric(config);
    Number test = metric == null ? null : number(members(result.get("test")).get(metric.key()));
    boolean full = Boolean.TRUE.equals(chosen.get(RunFiles.FULL));
    return new RunInfo(
        path,
        RunFiles.began(config).orElse(written),
        text(config.get("command")),
        text(setup.get("model")),
        text(setup.get("task")),
        chosen.get("modules") instanceof List<?> modules && !full ? modules.size() : null,
        parameters == null ? null : parameters.longValue(),
        parameters == null || supernet == null || full
            ? null
            : parameters.doubleValue() / supernet.doubleValue(),
        metric,
        test == null ? null : test.doubleValue(),
        RunPhase.TRAINING.seconds(result) == null
            ? null
            : Stream.of(RunPhase.values())
                .map(phase -> phase.seconds(result))
                .filter(Objects::nonNull)
                .mapToDouble(seconds -> seconds)
                .sum(),
        state);
  }

  private static Metric metric(Map<String, Object> config) {
    try {
      return config.get("metrics") instanceof List<?> metrics && !metrics.isEmpty()
          ? Metric.byKey(String.valueOf(metrics.get(0)))
          : null;
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(e.getMessage(), e);
    }
  }

  private static Map<?, ?> members(Object value) {
    return value instanceof Map<?, ?> map ? map : Map.of();
  }

  private static Number number(Object value) {
    return value instanceof Number number ? number : null;
  }

  private static String text(Object value) {
    return value == null ? null : value.toString();
  }
}
