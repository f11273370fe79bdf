package org.prunepeft.settings;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectories;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.search.Strategy;

/** Strategies as JSON files: what a run found, what was transferred, what a person wrote. */
public final class StrategyFile {
  private StrategyFile() {}

  /**
   * {@return a strategy}
   *
   * @param path a file, which may be that of a complete run, or the directory of one
   * @throws RunDirectoryException if it is absent, incomplete, damaged or no JSON object; names the
   *     file
   * @throws IllegalArgumentException if it is no strategy, naming the file and the key; or if the
   *     run did not prune its modules, so that it has none
   */
  public static Strategy read(Path path) {
    boolean measured = Files.exists(path.resolve(RunFiles.MEASURED));
    if (measured || Files.exists(path.resolve(RunFiles.PEER))) {
      throw new IllegalArgumentException(
          "%s is of a %s, which has no strategy; train --modules %s trains what it kept"
              .formatted(path, measured ? "measured search" : "search without pruning", path));
    }
    Path file = path;
    if (Files.isDirectory(path)) {
      RunDirectory run = RunDirectory.open(path);
      Manifest.verify(run);
      file = run.file(RunFiles.STRATEGY);
    } else {
      verifyOfRun(path);
    }
    Map<String, Object> map = RunDirectory.parse(file);
    try {
      return Strategy.fromMap(map);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  /** Checks a file that is a complete run's own; others have no checksum. */
  private static void verifyOfRun(Path file) {
    Path run = file.toAbsolutePath().getParent();
    if (file.endsWith(RunFiles.STRATEGY)
        && RunDirectories.isOfComplete(run)
        && !RunDirectories.isAbove(run)) {
      Manifest.open(run, Set.of(RunFiles.STRATEGY));
    }
  }

  /**
   * {@return how many layers the model of a search has, by which its blocks were cut}
   *
   * @param run the directory of a complete run
   * @throws RunDirectoryException if it is absent, incomplete or damaged
   */
  public static int layers(Path run) {
    return Manifest.open(run, Set.of(RunFiles.CONFIG))
        .readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class)
        .layers();
  }

  /** {@return a strategy as the text of a file} */
  public static String format(Strategy strategy) {
    return RunDirectory.format(RunFiles.STRATEGY, strategy.toMap());
  }
}
