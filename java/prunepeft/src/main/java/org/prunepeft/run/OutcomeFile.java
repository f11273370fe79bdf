package org.prunepeft.run;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.RunPhase;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.text.Required;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

/** What the training of a complete run gave, from its directory. */
public final class OutcomeFile {
  private OutcomeFile() {}

  /**
   * Reads it. Predictions are not in a run's directory; there are none of any example.
   *
   * @throws org.prunepeft.io.RunDirectoryException if the run is absent, incomplete or damaged
   */
  public static TrainOutcome read(Path directory) {
    RunDirectory run = RunDirectory.open(directory);
    Manifest.verify(run);
    Map<String, Object> result = run.readJson(RunFiles.RESULT);
    Schema schema = Schema.fromMap(run.readJson(RunFiles.CONFIG));
    Candidate[] modules = run.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    return new TrainOutcome(
        List.copyOf(Arrays.asList(modules)),
        number(result, "trainable_parameters").longValue(),
        RunFiles.isFull(run),
        number(result, "supernet_parameters").longValue(),
        evaluation(result, "head_alone_test", schema),
        evaluation(result, "validation", schema),
        evaluation(result, "test", schema),
        number(result, "best_epoch").intValue(),
        number(result, "epochs").intValue(),
        number(result, RunPhase.PREPARATION.secondsMember()).doubleValue(),
        number(result, RunPhase.TRAINING.secondsMember()).doubleValue());
  }

  private static Number number(Map<?, ?> from, String name) {
    Object value = from.get(name);
    try {
      return Required.present(name, RunDirectory.convert(value, Double.class));
    } catch (IllegalArgumentException e) {
      throw new RunDirectoryException(
          "%s must have a number '%s', got %s; make the run anew"
              .formatted(RunFiles.RESULT, name, value),
          e);
    }
  }

  private static Evaluation evaluation(Map<?, ?> result, String name, Schema schema) {
    if (!(result.get(name) instanceof Map<?, ?> values)) {
      throw new RunDirectoryException(
          "%s must have an object '%s', got %s; make the run anew"
              .formatted(RunFiles.RESULT, name, result.get(name)));
    }
    Map<Metric, Double> metrics = new LinkedHashMap<>();
    for (Metric metric : schema.metrics()) {
      metrics.put(metric, number(values, metric.key()).doubleValue());
    }
    return new Evaluation(
        number(values, "loss").doubleValue(), metrics, new Predictions(schema, new float[0]));
  }
}
