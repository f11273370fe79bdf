package org.prunepeft.cli;

import java.util.List;
import org.prunepeft.generate.GenerationSettings;
import picocli.CommandLine.Option;

/** How a language model continues a text. */
@OptionsOf(GenerationSettings.class)
final class GenerationOptions {
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
      names = "--top-k",
      paramLabel = "K",
      description =
          "Draw one of the K most probable tokens; 0: of all (default: ${DEFAULT-VALUE}).")
  int topK;

  @Option(
      names = "--top-p",
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
      names = "--seed",
      paramLabel = "N",
      description = "Random seed of the draws (default: ${DEFAULT-VALUE}).")
  long seed;

  GenerationSettings settings() {
    return RecordOptions.fill(GenerationSettings.builder(), this).build();
  }
}
