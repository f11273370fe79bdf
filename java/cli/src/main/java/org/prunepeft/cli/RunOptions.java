package org.prunepeft.cli;

import java.nio.file.Path;
import org.prunepeft.TrainedModel;
import org.prunepeft.report.RunStatus;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.torch.Threads;
import org.prunepeft.train.TooLong;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The run that a command loads back. */
final class RunOptions {
  @Parameters(index = "0", paramLabel = "RUN", description = "Directory of a complete run.")
  private Path directory;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads (default: those of the run).")
  private Integer threads;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "Device to compute on: cpu, cuda, cuda:N or auto (default: the run's).")
  private String device;

  @Option(
      names = ConfigFile.OPTION,
      paramLabel = "FILE",
      description =
          "YAML file of options by their names, such as 'threads: 2'; options on the command line override it.")
  private Path config;

  @Option(
      names = "--model",
      description =
          "The run's base model, if it is not where it was: a Hugging Face directory (default: where the run found it).")
  private String model;

  @Option(
      names = DataOptions.TOO_LONG,
      paramLabel = "WHAT",
      description =
          "Of a language model: what to do with texts that are longer than the run's --max-seq-length: ${COMPLETION-CANDIDATES} (default: the run's).")
  private TooLong tooLong;

  @Mixin private PluginOptions plugins;

  Path directory() {
    return directory;
  }

  /**
   * Refuses to replace a file of the run, or of the data and the model that it was made from.
   *
   * @param output what is to be written; null or {@code -}: the standard output
   * @throws IllegalArgumentException if the file is one of these, by whatever name
   */
  void requireHarmless(Path output) {
    Outputs.requireNoneOf(output, directory);
    if (model != null) {
      // Where the model is now, its files have their names.
      RunStatus.sources(directory)
          .forEach(
              file -> Outputs.requireOther(output, Path.of(model).resolve(file.getFileName())));
    }
  }

  TrainedModel load() {
    if (threads != null) {
      Threads.requireHere(threads);
    }
    return TrainedModel.load(directory, new LoadSettings(threads, device, model, tooLong));
  }
}
