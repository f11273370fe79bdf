package org.prunepeft.cli;

import java.util.List;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.MeasuringSettingsBuilder;
import picocli.CommandLine.Option;

/** How a measured search goes. */
@OptionsOf(MeasuringSettings.class)
final class MeasuringOptions {
  @Option(
      names = "--search-share",
      paramLabel = "SHARE",
      description =
          "How long the search may take, as a share of the whole supernet's training with the run's epochs (default: ${DEFAULT-VALUE}). What is not given of the next four follows from it.")
  double searchShare;

  @Option(
      names = "--supernet-examples",
      paramLabel = "N",
      description = "Training examples of the supernet.")
  Integer supernetExamples;

  @Option(names = "--supernet-epochs", paramLabel = "N", description = "Epochs of the supernet.")
  Integer supernetEpochs;

  @Option(
      names = "--measured-examples",
      paramLabel = "N",
      description = "Validation examples that subsets are measured on.")
  Integer measuredExamples;

  @Option(names = "--subsets", paramLabel = "N", description = "Subsets that are measured at most.")
  Integer subsets;

  @Option(
      names = "--warm-start",
      negatable = true,
      description =
          "Train what is chosen on from the weights that it has in the supernet (default: ${DEFAULT-VALUE}).")
  boolean warmStart;

  @Option(
      names = "--retraining-epochs",
      paramLabel = "N",
      description =
          "Epochs of that training (default: half of --epochs after a warm start, else all of them).")
  Integer retrainingEpochs;

  @Option(
      names = "--objective",
      split = ",",
      paramLabel = "NAME",
      description =
          "What a configuration costs: parameters, training-time, latency, or several; the first decides where modules do not differ (default: ${DEFAULT-VALUE}).")
  List<String> objectives;

  @Option(
      names = "--tolerance",
      paramLabel = "POINTS",
      description =
          "Keep the cheapest configuration that is predicted to lie at most so many points (hundredths) below the supernet, instead of the best within the budget.")
  Double tolerance;

  MeasuringSettings settings() {
    return RecordOptions.fill(MeasuringSettingsBuilder.builder(MeasuringSettings.DEFAULT), this)
        .build();
  }
}
