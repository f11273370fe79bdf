package org.prunepeft.report;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.prunepeft.files.CheckpointDirectory;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.files.RunMark;
import org.prunepeft.io.RunDirectoryException;

/** How far a run is, by its directory. */
public enum RunStatus {
  /** There is no run, or it has not chosen its modules yet. */
  OPEN,
  /** It has chosen its modules, and is not complete. */
  CHOSEN,
  /** All of its files are there. */
  COMPLETE;

  /**
   * The file of a run directory for the options of the program that started the run. Where it is
   * there, messages name the command line's way to go on.
   */
  public static final String OPTIONS = RunFiles.OPTIONS;

  /** The file that marks a run directory whose run is not complete. */
  public static final String INCOMPLETE = RunDirectory.INCOMPLETE;

  /** The file of a run directory with its results for people to read; Markdown. */
  public static final String SUMMARY = RunFiles.SUMMARY;

  /**
   * {@return how far a run is}
   *
   * @param run its directory; may be absent
   */
  public static RunStatus of(Path run) {
    if (RunDirectory.isComplete(run)) {
      return COMPLETE;
    }
    return Files.exists(run.resolve(RunDirectory.INCOMPLETE))
            && Files.exists(run.resolve(RunFiles.CONFIGURATION))
        ? CHOSEN
        : OPEN;
  }

  /**
   * {@return whether a directory is that of a complete run, of which it may lack a file, or above
   * several seeds or budgets, and not one in which a user keeps options and notes}
   *
   * @param directory may be absent
   */
  public static boolean isOfComplete(Path directory) {
    return RunDirectories.isOfComplete(directory);
  }

  /**
   * {@return the files that a run has written and that are there, which nothing else should be
   * written over; its checkpoints are not among them}
   *
   * @param run its directory; may be absent
   */
  public static List<Path> files(Path run) {
    return RunFiles.written(run);
  }

  /**
   * {@return the files that a run was made from, those of its data and of its model, where they
   * were then}
   *
   * @param run its directory; may be absent: none
   */
  public static List<Path> sources(Path run) {
    return RunFiles.sources(run);
  }

  /**
   * {@return whether a process has the run and goes on; one of another machine does if it has
   * renewed the run's mark within ten minutes}
   *
   * @param run its directory; may be absent
   * @throws RunDirectoryException if its mark can't be read
   */
  public static boolean isRunning(Path run) {
    return RunMark.state(run).equals(RunMark.RUNNING);
  }

  /**
   * {@return whether a run failed since its numbers are none any more: with the same settings it
   * would again}
   *
   * @param run its directory; may be absent
   * @throws RunDirectoryException if its mark can't be read
   */
  public static boolean hasDiverged(Path run) {
    return RunMark.hasDiverged(run);
  }

  /**
   * {@return the number of a run's newest checkpoint, whole or damaged; they count up from 1, and 0
   * says that there is none}
   *
   * @param run its directory; may be absent
   * @throws RunDirectoryException if the directory of its checkpoints can't be read
   */
  public static long newestCheckpoint(Path run) {
    return new CheckpointDirectory(RunDirectory.look(run)).newestNumber();
  }
}
