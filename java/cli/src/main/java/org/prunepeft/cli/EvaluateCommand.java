package org.prunepeft.cli;

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
      "  prunepeft evaluate runs/earlier --split validation   the part that chose the best epoch"
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
      names = "--split",
      defaultValue = "test",
      paramLabel = "PART",
      description = "Which part of the data: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Split split;

  @Override
  public Integer call() {
    try (TrainedModel model = run.load()) {
      Dataset dataset = task == null ? model.dataset() : model.dataset(task);
      Evaluation evaluation = model.evaluate(split.of(dataset));
      System.out.printf(
          "%s of %s, %,d examples%n%s %s, loss %.4f%n",
          split,
          dataset.name(),
          evaluation.examples(),
          split,
          evaluation.text(),
          evaluation.loss());
    }
    return 0;
  }
}
