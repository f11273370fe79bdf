package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.DatasetDirectory;
import org.prunepeft.data.task.DatasetDirectory.Split;
import org.prunepeft.data.task.LanguageTask;
import picocli.CommandLine.Option;

/** The user's own files of examples. */
final class FileOptions {
  @Option(
      names = "--dataset-name",
      paramLabel = "DIR",
      description =
          "Directory of a data set in the layout of the Hugging Face hub; its train, validation and test files are used unless the options below name others.")
  Path dataset;

  @Option(
      names = "--dataset-config-name",
      paramLabel = "NAME",
      description = "Configuration of the data set (--dataset-name), where it has several.")
  String datasetConfig;

  @Option(
      names = "--train-split-name",
      paramLabel = "NAME",
      description =
          "Name of the data set's part to train on, such as train_sft, where it is another than train.")
  String trainSplit;

  @Option(
      names = "--validation-split-name",
      paramLabel = "NAME",
      description = "Name of the data set's validation part, such as test_sft.")
  String validationSplit;

  @Option(
      names = "--test-split-name",
      paramLabel = "NAME",
      description = "Name of the data set's test part.")
  String testSplit;

  @Option(
      names = "--train-file",
      paramLabel = "FILE",
      description =
          "Training examples; for a decoder also texts without labels, in a column text, in prompt"
              + " and completion, in question and answer, in instruction, input and output,"
              + " conversations in messages or conversations, or questions with choices. If no other file is named, a"
              + " stratified tenth each is set aside for validation and test.")
  Path train;

  @Option(
      names = "--validation-file",
      paramLabel = "FILE",
      description = "Validation examples; they choose the best epoch.")
  Path validation;

  @Option(
      names = "--test-file",
      paramLabel = "FILE",
      description = "Test examples, for the reported metrics.")
  Path test;

  @Option(
      names = "--do-regression",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description = "Regression: labels are numbers to predict, not classes.")
  boolean regression;

  @Option(
      names = {"--metric", "--metric-name"},
      split = ",",
      paramLabel = "NAME",
      description =
          "Evaluation metrics, the first of which chooses the best epoch: accuracy,"
              + " macro_f1, matthews_correlation, of two classes f1, precision, recall, roc_auc and"
              + " accuracy_and_f1 (of the second label by value or alphabet), or pearson,"
              + " spearmanr, pearson_and_spearmanr, or, of a language model, log_likelihood"
              + " (perplexity), exact_match, and of questions with answers to choose from accuracy,"
              + " acc_norm (default: accuracy,macro_f1 or pearson,spearmanr or log_likelihood, with"
              + " accuracy,acc_norm where there are answers to choose from).")
  List<String> metrics;

  /**
   * Null if none are named.
   *
   * @param decoder whether the model is one, which learns texts where there are no labels
   * @param resumed whether the options are those of a run that goes on, which say what the data
   *     are: these may be gone
   */
  DataFiles settle(ColumnOptions columns, boolean decoder, boolean resumed) {
    Map<Split, String> splits = splits();
    DatasetDirectory found =
        dataset == null || resumed && train != null
            ? null
            : new DatasetDirectory(dataset, datasetConfig, splits);
    if (found != null) {
      train = train == null ? found.train() : train;
      validation = validation == null ? found.validation() : validation;
    } else if (dataset == null && datasetConfig != null) {
      throw new IllegalArgumentException("--dataset-config-name needs --dataset-name");
    } else if (dataset == null && !splits.isEmpty()) {
      throw new IllegalArgumentException(
          "%s needs --dataset-name"
              .formatted(
                  trainSplit != null
                      ? "--train-split-name"
                      : validationSplit != null ? "--validation-split-name" : "--test-split-name"));
    }
    if (train == null) {
      String given =
          validation != null
              ? "--validation-file"
              : test != null
                  ? "--test-file"
                  : regression
                      ? "--do-regression"
                      : metrics != null ? "--metric" : columns.firstNamed();
      if (given != null) {
        throw new IllegalArgumentException(
            "%s is for files of your own and needs --train-file or --dataset-name"
                .formatted(given));
      }
      return null;
    }
    TaskKind kind = kind(columns, decoder, resumed);
    boolean texts = kind == TaskKind.LANGUAGE_MODELING;
    // The columns of a language model's texts are known by their names.
    Columns named = texts ? columns.orElse(Columns.DEFAULT) : columns.settle(Columns.DEFAULT);
    if (found != null && test == null) {
      test = texts ? found.test() : found.test(named);
    }
    DataFiles files =
        new DataFiles(
            train.toAbsolutePath(),
            validation == null ? null : validation.toAbsolutePath(),
            test == null ? null : test.toAbsolutePath(),
            named,
            kind,
            metrics(texts, named));
    metrics = files.measured().stream().map(Metric::key).toList();
    return files;
  }

  private Map<Split, String> splits() {
    Map<Split, String> named = new EnumMap<>(Split.class);
    if (trainSplit != null) {
      named.put(Split.TRAIN, trainSplit);
    }
    if (validationSplit != null) {
      named.put(Split.VALIDATION, validationSplit);
    }
    if (testSplit != null) {
      named.put(Split.TEST, testSplit);
    }
    return named;
  }

  /** None where the kind of task has its own. */
  private List<Metric> metrics(boolean texts, Columns columns) {
    if (metrics != null) {
      return metrics.stream().map(Metric::byKey).toList();
    }
    return texts ? LanguageTask.metrics(train, columns) : List.of();
  }

  /** The options of a run that has labels name their column. */
  private TaskKind kind(ColumnOptions columns, boolean decoder, boolean resumed) {
    if (regression) {
      return TaskKind.REGRESSION;
    }
    return decoder
            && !columns.labelled()
            && (resumed || LanguageTask.suits(train, columns.orElse(Columns.DEFAULT)))
        ? TaskKind.LANGUAGE_MODELING
        : TaskKind.CLASSIFICATION;
  }
}
