package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.train.Evaluation;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "evaluate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Evaluates what a run trained, on the run's own test set or on other data with the same labels."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft evaluate runs/earlier                      the run's test set: its own result again",
      "  prunepeft evaluate runs/earlier --split validation   the part that chose the best epoch",
      "  prunepeft evaluate runs/earlier --test-file new.csv  other examples, in the columns that the run's files had",
      "  prunepeft evaluate runs/mnli --task mnli_mismatched  GLUE's other development set"
    })
final class EvaluateCommand implements Callable<Integer> {
  /** A part of a task's data. */
  enum Split {
    TRAIN,
    VALIDATION,
    TEST;

    List<Example> of(Dataset dataset) {
      return switch (this) {
        case TRAIN -> dataset.train();
        case VALIDATION -> dataset.validation();
        case TEST -> dataset.test();
      };
    }

    @Override
    public String toString() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  @Mixin private RunOptions run;

  @Option(
      names = "--task",
      description = "A task with the run's labels (default: the run's own, split as the run did).")
  private String task;

  @Option(
      names = {"--data", "--data-dir"},
      paramLabel = "DIR",
      description = "Directory of GLUE's files (default: the run's own).")
  private Path data;

  @Option(
      names = "--split",
      defaultValue = "test",
      paramLabel = "PART",
      description = "Which part of the data: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Split split;

  @Option(
      names = "--test-file",
      paramLabel = "FILE",
      description =
          "Labelled examples: .tsv, .csv, .jsonl or .parquet, with the columns of the run's own.")
  private Path file;

  @Mixin private ColumnOptions columns;

  @Override
  public Integer call() {
    if (file == null && columns.named()) {
      throw new IllegalArgumentException("options of columns need --test-file");
    }
    if (file != null && (task != null || data != null)) {
      throw new IllegalArgumentException(
          "--test-file goes with neither --task nor --data; leave one out");
    }
    try (TrainedModel model = run.load()) {
      if (file != null) {
        print(file.toString(), model.evaluate(model.read(file, columns.orElse(model.columns()))));
      } else {
        Dataset dataset = model.dataset(task, data);
        print(dataset.name(), model.evaluate(split.of(dataset)));
      }
    }
    return 0;
  }

  private void print(String name, Evaluation evaluation) {
    System.out.printf(
        "%s of %s, %,d examples%n%s %s, loss %.4f%n",
        split, name, evaluation.examples(), split, evaluation.text(), evaluation.loss());
  }
}
