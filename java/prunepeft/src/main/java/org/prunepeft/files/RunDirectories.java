package org.prunepeft.files;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.io.RunDirectoryException;

/** Where runs are. */
public final class RunDirectories {
  /** A sweep has seeds, in a directory of runs. */
  private static final int DEPTH = 4;

  /** Of the runs in a directory an error names no more. */
  private static final int MOST_NAMED = 5;

  private RunDirectories() {}

  /**
   * {@return the directories of runs in a directory and below, by path; itself, if it is one}
   *
   * @throws RunDirectoryException if it is none or can't be read
   */
  public static List<Path> below(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new RunDirectoryException(
          directory + (Files.exists(directory) ? " is not a directory" : " does not exist"));
    }
    try (Stream<Path> found = Files.walk(directory, DEPTH)) {
      return found.filter(RunDirectories::isRun).sorted().toList();
    } catch (IOException | UncheckedIOException e) {
      throw new RunDirectoryException("can't read %s: %s".formatted(directory, e.getMessage()), e);
    }
  }

  /** A model's directory has a config.json as well, and a run that has just begun has none yet. */
  private static boolean isRun(Path directory) {
    return Files.exists(directory.resolve(RunFiles.CONFIG))
        && Stream.of(RunFiles.CONFIGURATION, RunFiles.RESULT, RunDirectory.INCOMPLETE)
            .anyMatch(name -> Files.exists(directory.resolve(name)));
  }

  /** {@return when a run's settings were written} */
  public static Instant began(Path run) {
    Path file = run.resolve(RunFiles.CONFIG);
    try {
      return Files.getLastModifiedTime(file).toInstant();
    } catch (IOException e) {
      throw RunErrors.unread(file, e);
    }
  }

  /**
   * Checks that a directory is a run's own and not that of several, such as seeds.
   *
   * @throws RunDirectoryException if it is none and holds others; names them
   */
  static void requireOne(Path directory) {
    if (isRun(directory) || !Files.isDirectory(directory)) {
      return;
    }
    List<Path> inside = below(directory);
    if (!inside.isEmpty()) {
      int more = inside.size() - MOST_NAMED;
      throw new RunDirectoryException(
          "%s is no run but holds %s; name %s: %s%s"
              .formatted(
                  directory,
                  inside.size() == 1 ? "one" : "several",
                  inside.size() == 1 ? "it" : "one of them",
                  inside.stream()
                      .limit(MOST_NAMED)
                      .map(Path::toString)
                      .collect(Collectors.joining(", ")),
                  more > 0 ? " and %d more".formatted(more) : ""));
    }
  }

  /**
   * Checks that a directory is a run's own, complete or not.
   *
   * @throws RunDirectoryException if it is none; names those that it holds
   */
  public static void requireRun(Path directory) {
    requireOne(directory);
    if (!isRun(directory)) {
      throw new RunDirectoryException(
          directory
              + (Files.exists(directory) ? " has no run" : " does not exist")
              + "; name the directory of a run");
    }
  }
}
