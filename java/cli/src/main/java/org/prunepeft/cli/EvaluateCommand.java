package org.prunepeft.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.prunepeft.TrainedModel;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.TaskKind;
import org.prunepeft.train.ClassReport;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Metrics;
import org.prunepeft.train.RankedPairs;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "evaluate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Evaluates what a run trained, on the run's own test set or on other data with the same labels: the run's metrics; of classes also precision, recall and F1 of each and the confusion matrix, of two classes ROC AUC, and of pairs MAP and MRR."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft evaluate runs/earlier                      the run's test set: its own result again",
      "  prunepeft evaluate runs/earlier --split validation   the part that chose the best epoch",
      "  prunepeft evaluate runs/gsm8k --metric exact_match   answers that the language model writes",
      "  prunepeft evaluate runs/earlier --test-file new.csv  other examples, in the same columns",
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
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private static final String SPLIT = "--split";
  private static final String CONFUSION = "--confusion";

  @Spec private CommandSpec spec;
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
      names = SPLIT,
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

  @Option(
      names = {"--metric", "--metric-name"},
      split = ",",
      paramLabel = "NAME",
      description = "Other metrics than the run's (default: the run's).")
  private List<String> metrics;

  /** Wider tables are hard to read. */
  private static final int MOST_SHOWN = 10;

  @Option(
      names = CONFUSION,
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description = "Print the confusion matrix of more than " + MOST_SHOWN + " classes as well.")
  private boolean confusion;

  @Override
  public Integer call() {
    if (file == null && columns.named()) {
      throw new IllegalArgumentException("options of columns need --test-file");
    }
    if (file != null && (task != null || data != null)) {
      throw new IllegalArgumentException(
          "--test-file goes with neither --task nor --data; leave one out");
    }
    new IdleOptions(spec)
        .refuse(
            file != null,
            IdleOptions.beside("--test-file, which is evaluated as a whole"),
            List.of(SPLIT));
    try (TrainedModel model = run.load()) {
      if (file != null) {
        print(file.toString(), model, model.read(file, columns.orElse(model.columns())));
      } else {
        Dataset dataset = model.dataset(task, data);
        print(dataset.name(), model, split.of(dataset));
      }
    }
    return 0;
  }

  private void print(String name, TrainedModel model, List<Example> examples) {
    TaskKind kind = model.schema().kind();
    new IdleOptions(spec)
        .refuse(
            kind != TaskKind.CLASSIFICATION,
            "%s is for classes, and the task is a " + kind.problemType() + "; leave it out",
            List.of(CONFUSION));
    Evaluation evaluation =
        metrics == null
            ? model.evaluate(examples)
            : model.evaluate(examples, metrics.stream().map(Metric::byKey).toList());
    System.out.printf(
        Locale.ROOT,
        "%s of %s, %,d examples%n%s %s, loss %.4f%n",
        split,
        name,
        evaluation.examples(),
        split,
        evaluation.text(),
        evaluation.loss());
    if (kind == TaskKind.CLASSIFICATION) {
      double[] targets = examples.stream().mapToDouble(Example::target).toArray();
      ClassReport report = ClassReport.of(evaluation.predictions(), targets);
      if (model.schema().labels().size() == 2) {
        System.out.printf(
            Locale.ROOT,
            "ROC AUC %.4f%n",
            Metrics.of(Metric.ROC_AUC, evaluation.predictions(), targets));
      }
      RankedPairs.of(examples, evaluation.predictions())
          .ifPresent(
              ranked ->
                  System.out.printf(
                      Locale.ROOT,
                      "MAP %.4f, MRR %.4f: second texts ranked for %,d first texts%n",
                      ranked.map(),
                      ranked.mrr(),
                      ranked.queries()));
      System.out.printf("%n%s", classes(report).text(Table.Format.MD));
      if (confusion || report.labels().size() <= MOST_SHOWN) {
        System.out.printf(
            "%nlabels in rows, predictions in columns%n%n%s",
            confusion(report).text(Table.Format.MD));
      }
    }
  }

  private static Table classes(ClassReport report) {
    List<List<Cell>> rows = new ArrayList<>();
    for (int k = 0; k < report.labels().size(); k++) {
      rows.add(
          List.of(
              Cell.of(report.labels().get(k)),
              share(report.precision(k)),
              share(report.recall(k)),
              share(report.f1(k)),
              Cell.of(report.examples(k))));
    }
    return new Table(List.of("class", "precision", "recall", "F1", "examples"), rows);
  }

  private static Cell share(double value) {
    return new Cell(value, Metric.ACCURACY.format(value));
  }

  private static Table confusion(ClassReport report) {
    List<String> columns = new ArrayList<>(List.of(""));
    columns.addAll(report.labels());
    List<List<Cell>> rows = new ArrayList<>();
    for (int k = 0; k < report.labels().size(); k++) {
      List<Cell> row = new ArrayList<>(List.of(Cell.of(report.labels().get(k))));
      IntStream.of(report.confusion()[k]).mapToObj(Cell::of).forEach(row::add);
      rows.add(row);
    }
    return new Table(columns, rows);
  }
}
