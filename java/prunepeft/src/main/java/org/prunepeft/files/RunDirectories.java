package org.prunepeft.files;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.text.Reason;

/** Where runs are. */
public final class RunDirectories {
  /** A sweep has seeds, in a directory of runs. */
  private static final int DEPTH = 4;

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
      throw new RunDirectoryException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
    }
  }

  /**
   * Checks that a directory is a run's own and not that of several, such as seeds.
   *
   * @throws RunDirectoryException if it holds the directories of several; names them
   */
  static void requireOne(Path directory) {
    if (isRun(directory) || !Files.isDirectory(directory)) {
      return;
    }
    List<String> inside = below(directory).stream().map(Path::toString).toList();
    if (!inside.isEmpty()) {
      throw new RunDirectoryException(
          "%s holds several runs; name one of them: %s"
              .formatted(directory, String.join(", ", inside)));
    }
  }
}
