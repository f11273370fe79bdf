package org.prunepeft.cli;

import java.util.List;
import org.prunepeft.generate.GenerationSettings;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How a language model continues a text. */
@OptionsOf(GenerationSettings.class)
final class GenerationOptions {
  private static final String TOP_K = "--top-k";
  private static final String TOP_P = "--top-p";
  private static final String SEED = "--seed";

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      description =
          "The most tokens that are written, as far as the model has positions (default:"
              + " ${DEFAULT-VALUE}).")
  int maxNewTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "Logits are divided by it before a token is drawn; 0: greedy, the most probable token"
              + " each time (default: ${DEFAULT-VALUE}).")
  double temperature;

  @Option(
      names = TOP_K,
      paramLabel = "K",
      description =
          "Draw one of the K most probable tokens; 0: of all (default: ${DEFAULT-VALUE}).")
  int topK;

  @Option(
      names = TOP_P,
      paramLabel = "P",
      description =
          "Nucleus sampling: draw one of the most probable tokens that have this probability"
              + " together; 1: of all (default: ${DEFAULT-VALUE}).")
  double topP;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description =
          "A text or special token at which it stops, itself left out; may be given several times.")
  List<String> stop;

  @Option(
      names = SEED,
      paramLabel = "N",
      description = "Random seed of the draws (default: ${DEFAULT-VALUE}).")
  long seed;

  /**
   * @param command that has these options
   * @throws IllegalArgumentException if a value is out of its range, or one that was typed has no
   *     effect
   */
  GenerationSettings settings(CommandSpec command) {
    GenerationSettings settings = RecordOptions.fill(GenerationSettings.builder(), this).build();
    new IdleOptions(command)
        .refuse(
            temperature == 0,
            "%s has no effect with --temperature 0, which takes the most probable token each time; name a --temperature above 0, or leave it out",
            List.of(TOP_K, TOP_P, SEED));
    return settings;
  }
}
