package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.prunepeft.RunContents;
import org.prunepeft.cli.MlflowStore.MetricPoint;
import org.prunepeft.cli.MlflowStore.Status;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.Unfinished;
import org.prunepeft.report.LearningCurve;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "export-mlflow",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Writes runs as MLflow's file store has them: settings as parameters, results and learning curves as metrics, the summary as the run's note, and the files that say what was chosen as artifacts.",
      "",
      "A run that is written again takes the place of the earlier one.",
      "",
      "MLflow shows the directory up to version 3.12. From 3.10 on it makes a database of it, and from 3.13 on it wants one, or MLFLOW_ALLOW_FILE_STORE=true."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft export-mlflow runs -o mlruns",
      "  mlflow ui --backend-store-uri mlruns                                     MLflow up to 3.12",
      "  mlflow migrate-filestore --source mlruns --target sqlite:///mlflow.db    from 3.10 on",
      "  mlflow ui --backend-store-uri sqlite:///mlflow.db"
    })
final class ExportMlflowCommand implements Callable<Integer> {
  /** Weights stay where they are. */
  private static final List<String> ARTIFACTS =
      List.of(
          "config.yaml",
          "config.json",
          "configuration.json",
          "strategy.json",
          "rounds.json",
          "measured.json",
          "peer.json",
          "result.json",
          "summary.md");

  /** Bytes of a summary, of which MLflow has the beginning. */
  private static final int MOST_TEXT = 1 << 26;

  @Mixin private RunsArgument named;

  @Option(
      names = {"-o", "--output"},
      defaultValue = "mlruns",
      paramLabel = "DIR",
      description =
          "MLflow's directory; made if it is not there, else added to (default: ${DEFAULT-VALUE}).")
  private Path output;

  @Option(
      names = "--experiment",
      defaultValue = "prunepeft",
      paramLabel = "NAME",
      description =
          "MLflow's experiment that the runs go to; made if there is none of that name (default: ${DEFAULT-VALUE}).")
  private String experiment;

  @Override
  public Integer call() throws IOException {
    List<Path> runs = named.runs(RunContents::directories);
    // A damaged one is found before any is written; one at a time is in memory.
    runs.forEach(RunContents::of);
    MlflowStore store = new MlflowStore(output, experiment);
    Unfinished begun = Unfinished.begin(store::discard);
    try {
      for (Path run : runs) {
        System.out.println(run + ": " + store.write(of(RunContents.of(run))));
      }
    } finally {
      begun.end();
    }
    return 0;
  }

  private static MlflowStore.MlflowRun of(RunContents run) throws IOException {
    Path directory = run.info().directory().toAbsolutePath().normalize();
    Instant began = run.info().began();
    Double seconds = run.info().seconds();
    Map<String, String> tags = new LinkedHashMap<>();
    tags.put("mlflow.runName", directory.getFileName().toString());
    tags.put("mlflow.source.name", "prunepeft");
    tags.put("mlflow.source.type", "LOCAL");
    tags.put("prunepeft.directory", directory.toString());
    tags.put("prunepeft.state", run.info().state());
    Map<String, Path> artifacts = new LinkedHashMap<>();
    for (String name : ARTIFACTS) {
      if (Files.isRegularFile(directory.resolve(name))) {
        artifacts.put(name, directory.resolve(name));
      }
    }
    if (artifacts.containsKey("summary.md")) {
      Path summary = artifacts.get("summary.md");
      tags.put("mlflow.note.content", BoundedFile.text(BoundedFile.regular(summary), MOST_TEXT));
    }
    return new MlflowStore.MlflowRun(
        directory + " " + began,
        directory.getFileName().toString(),
        began,
        seconds == null ? null : began.plus(Duration.ofMillis(Math.round(1000 * seconds))),
        status(run),
        parameters(run),
        metrics(run),
        tags,
        artifacts);
  }

  private static Status status(RunContents run) {
    return switch (run.info().state()) {
      case "complete" -> Status.FINISHED;
      case "running" -> Status.RUNNING;
      case "cut off", "interrupted", "failed: cancelled" -> Status.KILLED;
      default -> Status.FAILED;
    };
  }

  private static Map<String, String> parameters(RunContents run) throws JsonProcessingException {
    Map<String, String> parameters = new LinkedHashMap<>();
    for (Map.Entry<String, Object> setting : run.settings().entrySet()) {
      Object value = setting.getValue();
      if (value != null) {
        parameters.put(
            setting.getKey(),
            value instanceof String text ? text : new JsonMapper().writeValueAsString(value));
      }
    }
    return parameters;
  }

  /** Results at step 0, and each training's curves by its name. */
  private static Map<String, List<MetricPoint>> metrics(RunContents run) {
    Map<String, List<MetricPoint>> metrics = new LinkedHashMap<>();
    put(metrics, "", run.result());
    for (LearningCurve curve : run.curves()) {
      for (int i = 0; i < curve.losses().size(); i++) {
        add(metrics, curve.training() + "/loss", i + 1, curve.losses().get(i));
      }
      for (LearningCurve.Epoch epoch : curve.epochs()) {
        add(metrics, curve.training() + "/epoch_loss", epoch.epoch(), epoch.loss());
        epoch
            .validation()
            .forEach(
                (name, value) ->
                    add(metrics, curve.training() + "/validation_" + name, epoch.epoch(), value));
      }
    }
    return metrics;
  }

  private static void put(Map<String, List<MetricPoint>> metrics, String prefix, Map<?, ?> result) {
    result.forEach(
        (name, value) -> {
          if (value instanceof Number number) {
            add(metrics, prefix + name, 0, number.doubleValue());
          } else if (prefix.isEmpty()
              && value instanceof Map<?, ?> members
              && !name.equals("files")) {
            put(metrics, name + "/", members);
          }
        });
  }

  private static void add(
      Map<String, List<MetricPoint>> metrics, String name, long step, double value) {
    if (Double.isFinite(value)) {
      metrics.computeIfAbsent(name, key -> new ArrayList<>()).add(new MetricPoint(step, value));
    }
  }
}
