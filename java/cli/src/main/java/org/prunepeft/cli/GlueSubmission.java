package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.GlueTask;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.NewDirectories;
import org.prunepeft.io.Unfinished;
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
   * @param harmless throws where a file is one that must not be replaced
   * @param data directory of GLUE's files; null: the run's
   * @param directory for the files; made if it is not there. They come into it together; where one
   *     can't be written, or the process is told to end, nothing is left of them
   */
  static void write(TrainedModel model, Consumer<Path> harmless, Path data, Path directory)
      throws IOException {
    Task task = model.setup().resolveTask();
    if (!(task instanceof GlueTask)) {
      throw new IllegalArgumentException(
          "a submission is of a task of GLUE, but the run is of " + task.name());
    }
    GlueTask glue = (GlueTask) (data == null ? task : task.at(data));
    List<GlueTask.Submission> submissions = glue.submissions();
    for (GlueTask.Submission submission : submissions) {
      Path file = directory.resolve(submission.name());
      harmless.accept(file);
      submissions.forEach(other -> Outputs.requireOther(file, other.source()));
    }
    Place place = new Place(directory);
    Unfinished begun = Unfinished.begin(place::discard);
    Map<Path, String> files = new LinkedHashMap<>();
    try {
      place.make();
      // All are predicted before one is written.
      for (GlueTask.Submission submission : submissions) {
        try (Texts texts = Texts.table(submission.source(), glue.columns(), null)) {
          files.put(directory.resolve(submission.name()), predictions(model, texts));
        }
      }
      place.write(files);
    } catch (IOException | RuntimeException | Error e) {
      place.takeBack(e);
      throw e;
    } finally {
      begun.end();
    }
    files.forEach(
        (file, text) ->
            System.out.println(
                String.format(
                    Locale.ROOT, "wrote %s: %,d predictions", file, text.lines().count() - 1)));
  }

  /** The directory that they are written to. */
  private static final class Place {
    private final Path directory;
    private final NewDirectories made;
    private boolean whole;
    private boolean discarded;

    Place(Path directory) {
      this.directory = directory;
      made = new NewDirectories(directory);
    }

    synchronized void make() throws IOException {
      if (discarded) {
        throw new IOException("this process is ending");
      }
      try {
        made.make();
      } catch (IOException e) {
        throw new IOException("can't make %s: %s".formatted(directory, Reason.of(directory, e)), e);
      }
    }

    void write(Map<Path, String> files) throws IOException {
      Outputs.writeTogether(files, this::put);
    }

    private synchronized void put(List<AtomicFile.Written> written) throws IOException {
      try {
        AtomicFile.put(written);
      } catch (IOException e) {
        throw Outputs.unwritten(directory, e);
      }
      whole = true;
    }

    /** Says what is left. */
    synchronized String discard() {
      discarded = true;
      if (whole) {
        return "interrupted when the submission in %s was whole".formatted(directory);
      }
      try {
        made.remove();
      } catch (IOException e) {
        return "interrupted; %s could not be removed: %s"
            .formatted(directory, Reason.of(directory, e));
      }
      return "interrupted; nothing is left of the submission in " + directory;
    }

    private synchronized void takeBack(Throwable cause) {
      try {
        made.remove();
      } catch (IOException e) {
        cause.addSuppressed(e);
      }
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
