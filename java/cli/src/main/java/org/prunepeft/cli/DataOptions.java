package org.prunepeft.cli;

import java.nio.file.Path;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.TooLong;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.Option;

/** The model, the task and how many of its examples. */
@OptionsOf({Setup.class, TrainingSettings.class})
final class DataOptions {
  static final String MODEL = "--model";
  static final String TASK = "--task";
  static final String MAX_LENGTH = "--max-seq-length";
  static final String TOO_LONG = "--too-long";

  @Option(
      names = {MODEL, "--model-name-or-path"},
      description =
          "Pre-trained encoder or decoder: a name ('prunepeft models' lists them), its name on"
              + " Hugging Face's hub, or a Hugging Face directory (default: ${DEFAULT-VALUE}).")
  String model;

  @Option(
      names = {TASK, "--task-name"},
      description =
          "Task to learn; 'prunepeft tasks' lists them (default: ${DEFAULT-VALUE}, unless a training file is named).")
  String task;

  @Option(
      names = {"--data", "--data-dir"},
      paramLabel = "DIR",
      description = "Directory of GLUE's files, for the tasks that are read from them.")
  Path directory;

  @Option(
      names = {"--train-examples", "--max-train-samples"},
      paramLabel = "N",
      description =
          "Training examples to use (default: " + SplitSizes.TRAIN + "; all of a file's).")
  Integer trainExamples;

  @Option(
      names = {"--validation-examples", "--max-eval-samples"},
      paramLabel = "N",
      description =
          "Validation examples to use; they choose the best epoch (default: "
              + SplitSizes.VALIDATION
              + "; all of a file's, or a tenth of the training file).")
  Integer validationExamples;

  @Option(
      names = {"--test-examples", "--max-predict-samples"},
      paramLabel = "N",
      description =
          "Test examples to use (default: "
              + SplitSizes.TEST
              + "; all of a file's, or a tenth of the training file).")
  Integer testExamples;

  @Option(
      names = "--pair-encoding",
      paramLabel = "WAY",
      description =
          "How the two texts of a pair are encoded: joint, as one sequence; separate, each by itself, for sentence encoders; auto, as suits the model (default: ${DEFAULT-VALUE}).")
  PairEncoding pairEncoding;

  @Option(
      names = MAX_LENGTH,
      paramLabel = "TOKENS",
      description =
          "Maximum sequence length in tokens; longer texts are truncated, or see --too-long (default:"
              + " ${DEFAULT-VALUE}, for a language model "
              + TrainingSettings.DEFAULT_TEXT_LENGTH
              + ", or the most that the model takes).")
  int maxLength;

  @Option(
      names = TOO_LONG,
      paramLabel = "WHAT",
      description =
          "Of a language model: what to do with texts of more than --max-seq-length tokens: ${COMPLETION-CANDIDATES}; cut truncates and counts them, refuse ends the run and names the first one's file, line and tokens (default: ${DEFAULT-VALUE}).")
  TooLong tooLong;
}
