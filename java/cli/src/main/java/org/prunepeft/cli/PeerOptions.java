package org.prunepeft.cli;

import org.prunepeft.settings.PeerSettings;
import org.prunepeft.settings.PeerSettingsBuilder;
import picocli.CommandLine.Option;

/** How a search goes that PrunePEFT is compared with. */
@OptionsOf(PeerSettings.class)
final class PeerOptions {
  @Option(
      names = "--search-examples",
      paramLabel = "N",
      description = "Training examples of each training of the search (default: ${DEFAULT-VALUE}).")
  int searchExamples;

  @Option(
      names = "--search-epochs",
      paramLabel = "N",
      description =
          "Epochs of each training of the search (default: 3 of a supernet, 1 of a trial).")
  Integer searchEpochs;

  @Option(
      names = "--gate-learning-rate",
      paramLabel = "RATE",
      description = "gates: learning rate of the gates (default: ${DEFAULT-VALUE}).")
  double gateLearningRate;

  @Option(
      names = "--trials",
      paramLabel = "N",
      description =
          "bayesian: subsets of modules to train and validate at most (default: ${DEFAULT-VALUE}).")
  int trials;

  @Option(
      names = "--trial-patience",
      paramLabel = "N",
      description =
          "bayesian: end the search when so many trials in a row are no better than the best before; 0: never (default: ${DEFAULT-VALUE}).")
  int trialPatience;

  /**
   * @param method name of a way to search
   * @return null: it is none of these
   */
  PeerSettings settings(String method) {
    for (PeerSettings.Method each : PeerSettings.Method.values()) {
      if (each.toString().equals(method)) {
        return RecordOptions.fill(PeerSettingsBuilder.builder(PeerSettings.DEFAULT), this)
            .method(each)
            .build();
      }
    }
    return null;
  }
}
