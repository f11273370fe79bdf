package org.prunepeft;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.run.OutcomeFile;
import org.prunepeft.run.RunRecord;
import org.prunepeft.run.RunsAlike;
import org.prunepeft.settings.RunSettings;
import org.prunepeft.settings.Setup;

/** Several runs in directories within one, which is a run's until all are complete. */
final class RunsInDirectory {
  private RunsInDirectory() {}

  /**
   * Makes them.
   *
   * @param setup whose output is the directory; null: nothing is written
   * @param settings what the runs do, as {@link RunsAlike#require} compares it
   * @param kind in what they differ
   * @param names of their directories in that one
   * @param runs makes the runs in the directory, which may be null
   * @param write writes into it what they gave together
   * @throws org.prunepeft.io.UnresumableRunException if a run that was complete before they were
   *     resumed is unlike another, or what another would be now
   */
  static <T> T make(
      Setup setup,
      RunSettings settings,
      ProgressListener progress,
      RunsAlike.Kind kind,
      List<String> names,
      Function<RunDirectory, T> runs,
      BiConsumer<RunDirectory, T> write) {
    RunDirectory directory = open(setup);
    List<Path> directories =
        directory == null ? List.of() : names.stream().map(directory::file).toList();
    try (RunsAlike alike = RunsAlike.begin(kind, directories)) {
      if (directory != null) {
        progress.created(directory.path());
        directory.take(RunFiles.OPTIONS);
      }
      if (setup.checkpoints().resume()) {
        alike.require(setup, settings, progress);
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
        ? RunDirectory.resume(setup.output(), lacksSummary(setup.output()))
        : RunDirectory.create(setup.output());
  }

  /** Whether runs were complete together, and what they gave is to be made again from them. */
  private static boolean lacksSummary(Path directory) {
    return Files.isDirectory(directory)
        && Files.notExists(directory.resolve(RunDirectory.INCOMPLETE))
        && !RunDirectory.isComplete(directory)
        && RunDirectories.isAbove(directory);
  }

  /**
   * Writes what runs gave together into the directory above theirs, with the checksums of all that
   * is there.
   *
   * @param name of the file for programs
   * @param results what it holds
   * @param summary for people
   */
  static void write(
      RunDirectory directory, String name, Map<String, Object> results, String summary) {
    directory.writeText(RunFiles.SUMMARY, summary);
    Manifest.write(directory, name, results, RunFiles.beforeResult(directory));
  }

  /** Whether nothing is left of runs together, whatever their last checkpoint says. */
  static boolean areOver(List<Setup> setups) {
    return setups.stream().allMatch(own -> RunDirectory.isComplete(own.output()))
        && setups.stream().allMatch(PrunePeft::isOver);
  }

  /** What a run gives, or gave if it was complete before these were resumed. */
  static TrainOutcome outcome(Setup own, Function<Setup, TrainOutcome> run) {
    return PrunePeft.isOver(own) ? OutcomeFile.read(own.output()) : run.apply(own);
  }
}
