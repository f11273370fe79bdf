package org.prunepeft.cli;

import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.Model.CommandSpec;

/** Options and settings of Python's programs and of PEFT that are called otherwise here. */
final class PythonNames {
  /** An option of each command that trains. */
  private static final String TRAINS = "--learning-rate";

  private static final String ALWAYS_MEASURED =
      "validation is measured after each epoch, always; leave it out";

  /** What stands here in place of an option; that option with its value, or what is to be said. */
  private static final Map<String, String> NAMES =
      Map.ofEntries(
          Map.entry("--lr", "--learning-rate"),
          Map.entry("--bf16", "--precision bf16"),
          Map.entry("--fp16", "--precision bf16 (there is no float16)"),
          Map.entry("--load-in-4bit", "--quantize nf4"),
          Map.entry("--load-in-8bit", "--quantize int8"),
          Map.entry("--r", "--lora-r"),
          Map.entry("--rank", "--lora-r"),
          Map.entry("--save-steps", "--checkpoint-steps"),
          Map.entry("--metric-for-best-model", "here it is the first of --metric"),
          Map.entry("--eval-strategy", ALWAYS_MEASURED),
          Map.entry("--evaluation-strategy", ALWAYS_MEASURED),
          Map.entry("--eval-steps", ALWAYS_MEASURED),
          Map.entry("--load-best-model-at-end", "the best epoch is kept, always; leave it out"),
          Map.entry("--logging-steps", "each step is logged, always; leave it out"),
          Map.entry("--logging-strategy", "each step is logged, always; leave it out"),
          Map.entry("--do-train", "train and search train, always; leave it out"),
          Map.entry("--do-eval", "validation and test parts are measured, always; leave it out"),
          Map.entry("--do-predict", "the test part is predicted, always; leave it out"),
          Map.entry(
              "--init-lora-weights", "there is none: A begins random and B as 0; leave it out"),
          Map.entry(
              "--modules-to-save", "there is none: the head is trained and kept, and nothing else"),
          Map.entry(
              "--layers-to-transform",
              "there is none: --modules takes the names of modules, such as encoder.layer.0.lora"),
          Map.entry("--bias", "there is none: biases are not trained; leave it out"));

  private PythonNames() {}

  /**
   * {@return what to write in place of an option, such as "here it is --learning-rate"; empty where
   * nothing is known of it}
   *
   * @param option with its dashes
   * @param command that has not got it
   */
  static Optional<String> remedy(String option, CommandSpec command) {
    return Optional.ofNullable(NAMES.get(option))
        .filter(
            name -> command.optionsMap().containsKey(name.startsWith("--") ? first(name) : TRAINS))
        .map(name -> name.startsWith("--") ? "here it is " + name : name);
  }

  private static String first(String name) {
    return name.split("[ ,]", 2)[0];
  }
}
