package org.prunepeft.cli;

import java.util.List;
import org.prunepeft.settings.PeerSettings;
import org.prunepeft.settings.PeerSettingsBuilder;
import picocli.CommandLine.Option;

/** How a search goes that PrunePEFT is compared with. */
@OptionsOf(PeerSettings.class)
final class PeerOptions {
  private static final String GATE_RATE = "--gate-learning-rate";
  private static final String TRIALS = "--trials";
  private static final String PATIENCE = "--trial-patience";

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
   * Refuses options that the way to search has not.
   *
   * @param method name of one of these ways
   */
  static void refuseIdle(String method, IdleOptions idle) {
    String message = IdleOptions.beside("--strategy " + method);
    idle.refuse(!is(PeerSettings.Method.GATES, method), message, List.of(GATE_RATE));
    idle.refuse(!is(PeerSettings.Method.BAYESIAN, method), message, List.of(TRIALS, PATIENCE));
  }

  private static boolean is(PeerSettings.Method one, String name) {
    return one.toString().equals(name);
  }

  /**
   * @param method name of a way to search
   * @return null: it is none of these
   */
  PeerSettings settings(String method) {
    for (PeerSettings.Method each : PeerSettings.Method.values()) {
      if (is(each, method)) {
        return RecordOptions.fill(PeerSettingsBuilder.builder(PeerSettings.DEFAULT), this)
            .method(each)
            .build();
      }
    }
    return null;
  }
}
