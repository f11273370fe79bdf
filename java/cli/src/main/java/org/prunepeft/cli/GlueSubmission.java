package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.GlueTask;
import org.prunepeft.io.NewDirectories;
import org.prunepeft.text.Reason;
import org.prunepeft.train.Predictions;

/**
 * Files for GLUE's leaderboard: a header, then each test example's number from 0 and its label, or
 * its score, which STS-B wants from 0 to 5.
 */
final class GlueSubmission {
  /** Texts that are in memory at once. */
  private static final int CHUNK = 1024;

  private GlueSubmission() {}

  /**
   * @param run the model's directory
   * @param data directory of GLUE's files; null: the run's
   * @param directory for the files; made if it is not there
   */
  static void write(TrainedModel model, Path run, Path data, Path directory) throws IOException {
    Task task = model.setup().resolveTask();
    if (!(task instanceof GlueTask)) {
      throw new IllegalArgumentException(
          "a submission is of a task of GLUE, but the run is of " + task.name());
    }
    GlueTask glue = (GlueTask) (data == null ? task : task.at(data));
    List<GlueTask.Submission> submissions = glue.submissions();
    for (GlueTask.Submission submission : submissions) {
      Path file = directory.resolve(submission.name());
      Outputs.requireNoneOf(file, run);
      submissions.forEach(other -> Outputs.requireOther(file, other.source()));
    }
    NewDirectories made = new NewDirectories(directory);
    try {
      make(directory, made);
      // All are predicted before one is written.
      Map<Path, String> files = new LinkedHashMap<>();
      for (GlueTask.Submission submission : submissions) {
        try (Texts texts = Texts.table(submission.source(), glue.columns(), null)) {
          files.put(directory.resolve(submission.name()), predictions(model, texts));
        }
      }
      for (Map.Entry<Path, String> file : files.entrySet()) {
        Outputs.writeResult(
            file.getKey(),
            writer -> {
              writer.write(file.getValue());
              return String.format(
                  Locale.ROOT, "%,d predictions", file.getValue().lines().count() - 1);
            });
      }
    } catch (IOException | RuntimeException | Error e) {
      takeBack(made, e);
      throw e;
    }
  }

  private static void make(Path directory, NewDirectories made) throws IOException {
    try {
      made.make();
    } catch (IOException e) {
      throw new IOException("can't make %s: %s".formatted(directory, Reason.of(directory, e)), e);
    }
  }

  private static void takeBack(NewDirectories made, Throwable cause) {
    try {
      made.remove();
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  private static String predictions(TrainedModel model, Texts texts) {
    StringBuilder lines = new StringBuilder("index\tprediction\n");
    int index = 0;
    for (List<Texts.UnlabelledText> chunk = texts.next(CHUNK);
        !chunk.isEmpty();
        chunk = texts.next(CHUNK)) {
      Predictions predictions =
          model.predict(chunk.stream().map(Texts.UnlabelledText::example).toList());
      for (int i = 0; i < chunk.size(); i++) {
        lines.append(String.format(Locale.ROOT, "%d\t%s\n", index++, prediction(predictions, i)));
      }
    }
    return lines.toString();
  }

  private static String prediction(Predictions predictions, int i) {
    if (predictions.schema().kind() == TaskKind.REGRESSION) {
      double score = Math.max(0, Math.min(5, predictions.value(i)));
      return String.format(Locale.ROOT, "%.3f", score);
    }
    return predictions.schema().labels().get(predictions.label(i));
  }
}
