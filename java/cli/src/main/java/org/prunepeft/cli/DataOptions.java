package org.prunepeft.cli;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The model, the task and how many of its examples. */
final class DataOptions {
  @Option(
      names = {"--model", "--model-name-or-path"},
      defaultValue = "minilm",
      description =
          "Pre-trained encoder: a name ('prunepeft models' lists them) or a Hugging Face directory (default: ${DEFAULT-VALUE}).")
  String model;

  @Option(
      names = {"--task", "--task-name"},
      description =
          "What to learn; see 'prunepeft tasks' (default: wordnet, unless a training file is named).")
  String task;

  @Option(
      names = {"--data", "--data-dir"},
      paramLabel = "DIR",
      description = "Directory of GLUE's files, for the tasks that are read from them.")
  Path directory;

  @Option(
      names = {"--train-examples", "--max-train-samples"},
      paramLabel = "N",
      description = "Training examples (default: 4000; of files all).")
  Integer trainExamples;

  @Option(
      names = {"--validation-examples", "--max-eval-samples"},
      paramLabel = "N",
      description =
          "Validation examples: they choose the best epoch (default: 1000; of files all, or a tenth of the training file).")
  Integer validationExamples;

  @Option(
      names = {"--test-examples", "--max-predict-samples"},
      paramLabel = "N",
      description = "Test examples (default: 2000; of files all, or a tenth of the training file).")
  Integer testExamples;

  @Option(
      names = "--max-seq-length",
      paramLabel = "TOKENS",
      description = "Longer texts are cut (default: 128, or the most that the model takes).")
  Integer maxLength;
}
