package org.prunepeft.cli;

import java.util.Map;
import org.prunepeft.settings.PeerSettings;
import org.prunepeft.settings.PeerSettingsBuilder;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How a search goes that PrunePEFT is compared with. */
@OptionsOf(PeerSettings.class)
final class PeerOptions {
  private static final String GATE_RATE = "--gate-learning-rate";
  private static final String TRIALS = "--trials";
  private static final String PATIENCE = "--trial-patience";

  /** Those that one way to search alone has. */
  private static final Map<String, PeerSettings.Method> OF_ONE =
      Map.of(
          GATE_RATE,
          PeerSettings.Method.GATES,
          TRIALS,
          PeerSettings.Method.BAYESIAN,
          PATIENCE,
          PeerSettings.Method.BAYESIAN);

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
      names = GATE_RATE,
      paramLabel = "RATE",
      description = "gates: learning rate of the gates (default: ${DEFAULT-VALUE}).")
  double gateLearningRate;

  @Option(
      names = TRIALS,
      paramLabel = "N",
      description =
          "bayesian: subsets of modules to train and validate at most (default: ${DEFAULT-VALUE}).")
  int trials;

  @Option(
      names = PATIENCE,
      paramLabel = "N",
      description =
          "bayesian: end the search when so many trials in a row are no better than the best before; 0: never (default: ${DEFAULT-VALUE}).")
  int trialPatience;

  /**
   * Refuses options that were typed and that the way to search has not.
   *
   * @param method name of one of these ways
   */
  static void refuseIdle(String method, CommandSpec command) {
    OF_ONE.forEach(
        (option, own) -> {
          if (!own.toString().equals(method) && ConfigFile.isTyped(option, command)) {
            throw new IllegalArgumentException(
                "%s has no effect with --strategy %s; leave one of the two out"
                    .formatted(option, method));
          }
        });
  }

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
