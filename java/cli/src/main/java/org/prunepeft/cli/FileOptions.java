package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import org.prunepeft.data.Columns;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.DatasetDirectory;
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
      names = "--train-file",
      paramLabel = "FILE",
      description =
          "Training examples. If no other file is named, a stratified tenth each is set aside for validation and test.")
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
          "Evaluation metrics, the first of which chooses the best epoch: accuracy, f1, precision, recall, roc_auc, macro_f1, matthews_correlation, accuracy_and_f1, or pearson, spearmanr, pearson_and_spearmanr (default: accuracy,macro_f1 or pearson,spearmanr).")
  List<String> metrics;

  /** Null if none are named. */
  DataFiles settle(ColumnOptions columns) {
    if (dataset != null) {
      resolve(new DatasetDirectory(dataset, datasetConfig), columns);
    } else if (datasetConfig != null) {
      throw new IllegalArgumentException("--dataset-config-name needs --dataset-name");
    }
    if (train == null) {
      if (validation != null || test != null || columns.named() || regression || metrics != null) {
        throw new IllegalArgumentException(
            "options of files, such as --test-file and --text-column, need --train-file or --dataset-name");
      }
      return null;
    }
    DataFiles files =
        new DataFiles(
            train.toAbsolutePath(),
            validation == null ? null : validation.toAbsolutePath(),
            test == null ? null : test.toAbsolutePath(),
            columns.settle(Columns.DEFAULT),
            regression ? TaskKind.REGRESSION : TaskKind.CLASSIFICATION,
            metrics == null ? List.of() : metrics.stream().map(Metric::byKey).toList());
    metrics = files.metrics().stream().map(Metric::key).toList();
    return files;
  }

  private void resolve(DatasetDirectory found, ColumnOptions columns) {
    train = train == null ? found.train() : train;
    validation = validation == null ? found.validation() : validation;
    test = test == null ? found.test(columns.settle(Columns.DEFAULT)) : test;
  }
}
