package org.prunepeft.cli;

import org.prunepeft.settings.Budget;
import org.prunepeft.settings.SearchSettings;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How many trainable parameters the modules may have: a share of the supernet's, or a number. */
@OptionsOf(SearchSettings.class)
final class BudgetOptions {
  private static final String SHARE = "--keep";
  private static final String PARAMETERS = "--budget";

  @Option(
      names = SHARE,
      paramLabel = "SHARE",
      description =
          "Share of the supernet's trainable parameters to keep (default: ${DEFAULT-VALUE}).")
  private Double keep;

  @Option(
      names = PARAMETERS,
      paramLabel = "N",
      description = "Most trainable parameters to keep, instead of a share (--keep).")
  private Long parameters;

  /**
   * The budget in effect; the option that says nothing then is no longer set.
   *
   * @throws IllegalArgumentException if both options are on the command line, or the value of one
   *     is out of its range
   */
  Budget settle(CommandSpec command) {
    if (ConfigFile.isTyped(SHARE, command) && ConfigFile.isTyped(PARAMETERS, command)) {
      throw new IllegalArgumentException(
          "%s %s and %s %d both say how much to keep; leave one out"
              .formatted(SHARE, keep, PARAMETERS, parameters));
    }
    if (ConfigFile.isTypedInstead(SHARE, PARAMETERS, command)) {
      parameters = null;
    }
    if (parameters == null) {
      return Budget.share(keep);
    }
    keep = null;
    return Budget.parameters(parameters);
  }

  /**
   * Of a training that has no budget: neither option is then set. In a file they may stand; it may
   * be that of another training.
   *
   * @throws IllegalArgumentException if one is on the command line
   */
  void refuse(CommandSpec command, String modules) {
    for (String option : new String[] {SHARE, PARAMETERS}) {
      if (ConfigFile.isTyped(option, command)) {
        throw new IllegalArgumentException(
            "%s is for --modules random, first-layers, middle-layers and last-layers, and for search, but --modules is %s, which says itself what is trained; leave %s out"
                .formatted(option, modules, option));
      }
    }
    keep = null;
    parameters = null;
  }
}
