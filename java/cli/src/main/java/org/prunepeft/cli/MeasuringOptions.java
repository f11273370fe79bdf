package org.prunepeft.cli;

import java.util.List;
import java.util.OptionalDouble;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.MeasuringSettingsBuilder;
import picocli.CommandLine.Option;

/** How a measured search goes. */
@OptionsOf(MeasuringSettings.class)
final class MeasuringOptions {
  @Option(
      names = "--supernet-examples",
      paramLabel = "N",
      description =
          "Training examples of the supernet, three quarters of all at most (default: ${DEFAULT-VALUE}).")
  int supernetExamples;

  @Option(
      names = "--supernet-epochs",
      paramLabel = "N",
      description = "Its epochs (default: ${DEFAULT-VALUE}).")
  int supernetEpochs;

  @Option(
      names = "--measured-examples",
      paramLabel = "N",
      description =
          "Other training examples that subsets are measured on (default: ${DEFAULT-VALUE}).")
  int measuredExamples;

  @Option(
      names = "--subsets",
      paramLabel = "N",
      description = "Subsets that are measured at most (default: ${DEFAULT-VALUE}).")
  int subsets;

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
  Double tolerancePoints;

  MeasuringSettings settings() {
    MeasuringSettingsBuilder settings =
        RecordOptions.fill(MeasuringSettingsBuilder.builder(MeasuringSettings.DEFAULT), this);
    if (tolerancePoints != null) {
      settings.tolerance(OptionalDouble.of(tolerancePoints / 100));
    }
    return settings.build();
  }
}
