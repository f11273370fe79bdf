package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.MeasuringSettingsBuilder;
import picocli.CommandLine.Option;

/** How a measured search goes. */
@OptionsOf(MeasuringSettings.class)
final class MeasuringOptions {
  private static final String SUPERNET = "--supernet";

  @Option(
      names = "--search-share",
      paramLabel = "SHARE",
      description =
          "Time of the search, as a share of the time to train the whole supernet for --epochs (default: ${DEFAULT-VALUE}); small tasks take longer. It sets those of the next four options that are not given.")
  double searchShare;

  @Option(
      names = SUPERNET,
      paramLabel = "RUN",
      description =
          "Take the trained supernet of an earlier measured search with the same model, modules, data, sizes and seed, instead of training one; the next two options then have no effect.")
  Path supernet;

  @Option(
      names = "--supernet-examples",
      paramLabel = "N",
      description = "Training examples of the supernet.")
  Integer supernetExamples;

  @Option(
      names = "--supernet-epochs",
      paramLabel = "N",
      description = "Training epochs of the supernet.")
  Integer supernetEpochs;

  @Option(
      names = "--measured-examples",
      paramLabel = "N",
      description = "Validation examples on which subsets of modules are measured.")
  Integer measuredExamples;

  @Option(
      names = "--subsets",
      paramLabel = "N",
      description = "Subsets of modules to measure at most.")
  Integer subsets;

  @Option(
      names = "--warm-start",
      negatable = true,
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Start the final training from the weights that the chosen modules have in the supernet, not from new ones (default: ${DEFAULT-VALUE}).")
  boolean warmStart;

  @Option(
      names = "--retraining-epochs",
      paramLabel = "N",
      description =
          "Epochs of the final training (default: half of --epochs with --warm-start, else --epochs).")
  Integer retrainingEpochs;

  @Option(
      names = "--module-slices",
      paramLabel = "N",
      description =
          "Cut each module into N slices of its rank or bottleneck, which are measured and kept by themselves, so that modules get smaller (default: modules stay whole).")
  Integer moduleSlices;

  @Option(
      names = "--objective",
      split = ",",
      paramLabel = "NAME",
      description =
          "Cost of a configuration: parameters, training-time, latency, memory, or several; where no difference shows the first decides, or all in turn if a gain of two points is excluded, and so of equally good configurations (default: ${DEFAULT-VALUE}).")
  List<String> objectives;

  @Option(
      names = "--tolerance",
      paramLabel = "POINTS",
      description =
          "Choose the cheapest configuration whose predicted metric is at most this many points (hundredths) below the supernet's, instead of the best within the budget.")
  Double tolerance;

  /** Refuses what says nothing where a supernet is trained already. */
  void refuseIdle(IdleOptions idle) {
    idle.refuse(
        supernet != null,
        IdleOptions.beside(SUPERNET),
        List.of("--supernet-examples", "--supernet-epochs"));
  }

  /** Takes the supernet of the search with the next larger budget, if it has kept it. */
  void goOn(Path larger) {
    if (supernet == null && MeasuringSettings.hasSupernet(larger)) {
      supernet = larger.toAbsolutePath();
    }
  }

  MeasuringSettings settings() {
    return RecordOptions.fill(MeasuringSettingsBuilder.builder(MeasuringSettings.DEFAULT), this)
        .build();
  }
}
