package org.prunepeft.cli;

import java.nio.file.Path;
import org.prunepeft.TrainedModel;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The run that a command loads back. */
final class RunOptions {
  @Parameters(index = "0", paramLabel = "RUN", description = "Directory of a complete run.")
  private Path directory;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of all native pools (default: those of the run).")
  private Integer threads;

  TrainedModel load() {
    return threads == null ? TrainedModel.load(directory) : TrainedModel.load(directory, threads);
  }
}
