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
import org.prunepeft.report.RunSchema;
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
    Schema schema = RunSchema.of(run.path());
    Candidate[] modules = run.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    Members result = new Members(run.file(RunFiles.RESULT), run.readJson(RunFiles.RESULT));
    return new TrainOutcome(
        List.copyOf(Arrays.asList(modules)),
        result.number("trainable_parameters").longValue(),
        RunFiles.isFull(run),
        result.number("supernet_parameters").longValue(),
        result.evaluation("head_alone_test", schema),
        result.evaluation("validation", schema),
        result.evaluation("test", schema),
        result.number("best_epoch").intValue(),
        result.number("epochs").intValue(),
        result.number(RunPhase.PREPARATION.secondsMember()).doubleValue(),
        result.number(RunPhase.TRAINING.secondsMember()).doubleValue());
  }

  /** Those of an object in a file. */
  private record Members(Path file, Map<?, ?> values) {
    Number number(String name) {
      Object value = values.get(name);
      try {
        return Required.present(name, RunDirectory.convert(value, Double.class));
      } catch (IllegalArgumentException e) {
        throw new RunDirectoryException(
            "%s must have a number '%s', got %s; make the run anew".formatted(file, name, value),
            e);
      }
    }

    Evaluation evaluation(String name, Schema schema) {
      if (!(values.get(name) instanceof Map<?, ?> own)) {
        throw new RunDirectoryException(
            "%s must have an object '%s', got %s; make the run anew"
                .formatted(file, name, values.get(name)));
      }
      Members members = new Members(file, own);
      Map<Metric, Double> metrics = new LinkedHashMap<>();
      for (Metric metric : schema.metrics()) {
        metrics.put(metric, members.number(metric.key()).doubleValue());
      }
      return new Evaluation(
          members.number("loss").doubleValue(), metrics, new Predictions(schema, new float[0]));
    }
  }
}
