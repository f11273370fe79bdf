package org.prunepeft.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;

/** A study whose runs nobody has trained: their files say what a test wants. */
final class MadeStudy {
  private MadeStudy() {}

  /**
   * What a run gives.
   *
   * @param test the first metric on the test part
   * @param validation all metrics by their keys
   * @param parameters trainable ones
   * @param searchSeconds null: it is a training
   */
  record Given(double test, Map<String, Double> validation, long parameters, Double searchSeconds) {
    Given(double test) {
      this(test, Map.of("accuracy", test), 1000, null);
    }
  }

  /**
   * Makes all runs of a study, those that others need first.
   *
   * @param metrics of each task, the first first
   * @param given what a run gives; empty: it diverges
   */
  static void make(
      Path file, TaskKind kind, List<Metric> metrics, Function<PlannedRun, Optional<Given>> given)
      throws IOException {
    Study study = StudyFile.read(file);
    StudyPlan plan = new StudyPlan(study);
    StudyDirectory directory = new StudyDirectory(study, plan);
    List<String> labels = kind == TaskKind.CLASSIFICATION ? List.of("no", "yes") : List.of();
    Map<String, Object> config = new LinkedHashMap<>(new Schema(kind, 1, labels, metrics).toMap());
    for (PlannedRun run : plan.runs()) {
      if (!directory.isReady(run)) {
        continue;
      }
      directory.begins(run);
      Path its = Files.createDirectories(run.directory(directory.root()));
      Files.writeString(its.resolve("config.yaml"), "");
      Files.writeString(its.resolve("metrics.jsonl"), "");
      config.put("command", run.method().command());
      new JsonMapper().writeValue(its.resolve("config.json").toFile(), config);
      Optional<Given> result = given.apply(run);
      if (result.isPresent()) {
        new JsonMapper()
            .writeValue(its.resolve("result.json").toFile(), result(metrics.get(0), result.get()));
      } else {
        Files.writeString(its.resolve("INCOMPLETE"), "failed: diverged: the loss is NaN\n");
      }
    }
  }

  private static Map<String, Object> result(Metric metric, Given given) {
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("test", Map.of(metric.key(), given.test));
    result.put("validation", given.validation);
    result.put("trainable_parameters", given.parameters);
    result.put("supernet_parameters", 4000);
    result.put("epochs", 3);
    result.put("training_seconds", 12.5);
    result.put("training_flop", 2e12);
    if (given.searchSeconds != null) {
      result.put("warm_up_seconds", 0.0);
      result.put("round_seconds", given.searchSeconds);
      result.put("search_flop", 3e12);
    }
    return result;
  }
}
