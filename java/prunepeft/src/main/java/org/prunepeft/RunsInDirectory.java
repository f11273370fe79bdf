package org.prunepeft;

import java.util.function.BiConsumer;
import java.util.function.Function;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.run.OutcomeFile;
import org.prunepeft.run.RunRecord;
import org.prunepeft.settings.Setup;

/** Several runs in directories within one, which is a run's until all are complete. */
final class RunsInDirectory {
  private RunsInDirectory() {}

  /**
   * Makes them.
   *
   * @param setup whose output is the directory; null: nothing is written
   * @param runs makes the runs in the directory, which may be null
   * @param write writes into it what they gave together
   */
  static <T> T make(
      Setup setup,
      ProgressListener progress,
      Function<RunDirectory, T> runs,
      BiConsumer<RunDirectory, T> write) {
    RunDirectory directory = open(setup);
    try {
      if (directory != null) {
        progress.created(directory.path());
      }
      T result = runs.apply(directory);
      if (directory != null) {
        write.accept(directory, result);
        progress.directory(directory.path());
        directory.complete();
        new CheckpointDirectory(directory).delete();
      }
      return result;
    } catch (Throwable e) { // What listeners throw too, in languages that check no exceptions.
      RunRecord.failed(directory, e);
      throw e;
    }
  }

  private static RunDirectory open(Setup setup) {
    if (setup.output() == null) {
      return null;
    }
    return setup.checkpoints().resume()
        ? RunDirectory.resume(setup.output(), false)
        : RunDirectory.create(setup.output());
  }

  /** What a run gives, or gave if it was complete before these were resumed. */
  static TrainOutcome outcome(Setup own, Function<Setup, TrainOutcome> run) {
    return PrunePeft.isOver(own) ? OutcomeFile.read(own.output()) : run.apply(own);
  }
}
