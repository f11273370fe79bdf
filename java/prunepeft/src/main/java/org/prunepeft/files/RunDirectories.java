package org.prunepeft.files;

import java.io.IOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.io.RunDirectoryException;

/** Where runs are. */
public final class RunDirectories {
  /** How far below a directory runs are looked for: a sweep has seeds, in a directory of runs. */
  public static final int DEPTH = 4;

  /** Of the runs in a directory an error names no more. */
  private static final int MOST_NAMED = 5;

  private RunDirectories() {}

  /**
   * {@return the directories of runs in a directory and {@value #DEPTH} levels below, by path;
   * itself, if it is one} Links are followed; a run that is reached in several ways has the path
   * without them, if there is one.
   *
   * @throws RunDirectoryException if it is none or can't be read
   */
  public static List<Path> below(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new RunDirectoryException(
          directory + (Files.exists(directory) ? " is not a directory" : " does not exist"));
    }
    try {
      List<Path> found = new ArrayList<>();
      Files.walkFileTree(
          directory,
          Set.of(FileVisitOption.FOLLOW_LINKS),
          DEPTH + 1,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path path, BasicFileAttributes attributes)
                throws IOException {
              if (isRun(path)) {
                found.add(path);
              }
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path path, IOException e) throws IOException {
              if (e instanceof FileSystemLoopException) {
                return FileVisitResult.CONTINUE;
              }
              throw e;
            }
          });
      return once(directory, found);
    } catch (IOException e) {
      throw new RunDirectoryException("can't read %s: %s".formatted(directory, e.getMessage()), e);
    }
  }

  /** Of paths below a directory that lead to the same place, one. */
  private static List<Path> once(Path directory, List<Path> paths) throws IOException {
    Path top = directory.toRealPath();
    Map<Path, Path> once = new HashMap<>();
    for (Path path : paths.stream().sorted().toList()) {
      Path real = path.toRealPath();
      if (real.equals(top.resolve(directory.relativize(path)))) {
        once.put(real, path);
      } else {
        once.putIfAbsent(real, path);
      }
    }
    return once.values().stream().sorted().toList();
  }

  /** A model's directory has a config.json as well, and a run that has just begun has none yet. */
  private static boolean isRun(Path directory) {
    return Files.exists(directory.resolve(RunFiles.CONFIG))
        && Stream.of(RunFiles.CONFIGURATION, RunFiles.RESULT, RunDirectory.INCOMPLETE)
            .anyMatch(name -> Files.exists(directory.resolve(name)));
  }

  /**
   * {@return whether a directory is that above the runs of several seeds or budgets}
   *
   * @throws RunDirectoryException if it can't be read
   */
  public static boolean isAbove(Path directory) {
    return !hasOne(directory) && (hasTogether(directory) || !below(directory).isEmpty());
  }

  /**
   * {@return whether a directory is that of a complete run, or above several seeds or budgets, and
   * not one in which a user keeps files that are called like theirs}
   */
  public static boolean isOfComplete(Path directory) {
    return RunDirectory.isComplete(directory) && (hasOne(directory) || hasTogether(directory));
  }

  /** A damaged run may lack one of the two. */
  private static boolean hasOne(Path directory) {
    return Stream.of(RunFiles.CONFIG, RunFiles.RESULT)
        .anyMatch(name -> Files.exists(directory.resolve(name)));
  }

  private static boolean hasTogether(Path directory) {
    return RunFiles.TOGETHER.stream().anyMatch(name -> Files.exists(directory.resolve(name)));
  }

  /**
   * {@return the complete runs that a complete directory is about: itself, or those of several
   * seeds or budgets in it}
   *
   * @throws RunDirectoryException if it can't be read
   */
  public static List<Path> complete(Path directory) {
    return isAbove(directory)
        ? below(directory).stream()
            .filter(run -> Files.notExists(run.resolve(RunDirectory.INCOMPLETE)))
            .toList()
        : List.of(directory);
  }

  /** {@return when a run's settings were written last} */
  public static Instant written(Path run) {
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
