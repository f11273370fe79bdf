package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.prunepeft.RunContents;
import org.prunepeft.io.RunDirectoryException;
import picocli.CommandLine.Parameters;

/** Directories of runs, or with runs in them. */
final class RunsArgument {
  @Parameters(
      arity = "1..*",
      paramLabel = "RUN",
      description =
          "Directories of runs, or with runs in them, up to "
              + RunContents.DEPTH
              + " levels below, such as those of several seeds or of a study.")
  List<Path> directories;

  /**
   * {@return the directories of the runs in them, each once}
   *
   * @param within finds those in one
   * @throws RunDirectoryException if there are none in one
   */
  List<Path> runs(Function<Path, List<Path>> within) {
    return directories.stream()
        .flatMap(
            directory -> {
              List<Path> runs = within.apply(directory);
              if (runs.isEmpty()) {
                throw new RunDirectoryException(
                    directory
                        + " has no runs; name the directory of a run, or one with runs in it");
              }
              return runs.stream();
            })
        .distinct()
        .toList();
  }
}
