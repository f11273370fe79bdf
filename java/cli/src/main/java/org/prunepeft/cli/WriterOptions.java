package org.prunepeft.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import org.prunepeft.LanguageModel;
import org.prunepeft.TrainedModel;
import org.prunepeft.generate.TextGenerator;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.report.RunStatus;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.Threads;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The language model that writes: one that a run trained, or a pre-trained one as it is. */
final class WriterOptions {
  @Parameters(
      index = "0",
      paramLabel = "RUN|MODEL",
      description =
          "Directory of a complete run of a language model, or a Hugging Face directory of a"
              + " decoder.")
  private String source;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads (default: those of the run, or the processors at hand).")
  private Integer threads;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "Device to compute on: cpu, cuda, cuda:N or auto (default: the run's, or cpu).")
  private String device;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      description =
          "Data type of the weights of a pre-trained model: ${COMPLETION-CANDIDATES} (default: float32; a run keeps its own).")
  private Precision precision;

  @Option(
      names = "--quantize",
      paramLabel = "TYPE",
      description =
          "Quantization of the frozen weights of a pre-trained model's layers: ${COMPLETION-CANDIDATES} (default: auto; a run keeps its own).")
  private Quantization quantization;

  @Option(
      names = "--model",
      description =
          "The run's base model, if it is not where it was: a Hugging Face directory (default: where the run found it).")
  private String model;

  /** Loads it; the caller closes it. */
  TextGenerator load() {
    if (threads != null) {
      Threads.requireHere(threads);
    }
    if (isRun()) {
      if (precision != null) {
        throw new IllegalArgumentException(
            "a run has a precision of its own; leave out --precision");
      }
      if (quantization != null) {
        throw new IllegalArgumentException(
            "a run has a quantization of its own; leave out --quantize");
      }
      return TrainedModel.load(Path.of(source), new LoadSettings(threads, device, model, null));
    }
    if (model != null) {
      throw new IllegalArgumentException(
          "--model is the base model of a run, but %s is none".formatted(source));
    }
    if (!Files.isDirectory(Path.of(source)) && !isNamed()) {
      throw new IllegalArgumentException(
          "there is no directory %s; name that of a complete run of a language model, or a Hugging Face directory of a decoder"
              .formatted(source));
    }
    return LanguageModel.load(
        source,
        threads == null ? Setup.DEFAULT.threads() : threads,
        device == null ? Setup.DEFAULT.device() : device,
        precision == null ? Setup.DEFAULT.precision() : precision,
        quantization == null ? Setup.DEFAULT.quantization() : quantization);
  }

  /** One that has just begun has its options, and says that it is not complete. */
  private boolean isRun() {
    Path directory = Path.of(source);
    return RunStatus.of(directory) != RunStatus.OPEN
        || Files.exists(directory.resolve(RunStatus.OPTIONS))
            && Files.exists(directory.resolve(RunStatus.INCOMPLETE));
  }

  private boolean isNamed() {
    return Models.all().stream().anyMatch(model -> model.name().equals(Models.localName(source)));
  }
}
