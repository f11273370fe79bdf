package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.prunepeft.study.TaskAndModel;
import picocli.CommandLine.Model.OptionSpec;

/** All runs of a study, which of them others need, and their commands. */
final class StudyPlan {
  private final Study study;
  private final List<PlannedRun> runs = new ArrayList<>();

  /** Seeds in order, each with all tasks and methods: what a stopped study has is paired. */
  StudyPlan(Study study) {
    this.study = study;
    List<PlannedRun> compared = new ArrayList<>();
    for (long seed : study.seeds()) {
      for (String task : study.tasks().keySet()) {
        for (String model : study.models().keySet()) {
          for (Study.Method method : study.methods()) {
            of(new TaskAndModel(task, model), method, seed).forEach(compared::add);
          }
        }
      }
    }
    // Those of all seeds and draws are the same.
    compared.stream()
        .filter(run -> run.seed() == study.seeds().get(0) && run.draw() == 0)
        .flatMap(run -> tryouts(run).stream())
        .forEach(runs::add);
    // What others take a run of comes before them.
    compared.stream().filter(run -> run.method().references().isEmpty()).forEach(runs::add);
    compared.stream().filter(run -> !run.method().references().isEmpty()).forEach(runs::add);
  }

  private static Stream<PlannedRun> of(TaskAndModel taskAndModel, Study.Method method, long seed) {
    List<Study.Limit> limits = new ArrayList<>(method.budgets());
    if (limits.isEmpty()) {
      limits.add(null);
    }
    List<PlannedRun> runs = new ArrayList<>();
    for (Study.Limit limit : limits) {
      for (int draw = 0; draw < method.draws(); draw++) {
        runs.add(new PlannedRun(taskAndModel, method, limit, seed, draw, null));
      }
    }
    return runs.stream();
  }

  /** Those that choose learning rates first. */
  List<PlannedRun> runs() {
    return List.copyOf(runs);
  }

  /** Those that are compared, in the order of tables. */
  List<PlannedRun> compared() {
    return runs.stream().filter(run -> run.tried() == null).toList();
  }

  Optional<PlannedRun> run(String name) {
    return runs.stream().filter(run -> run.name().equals(name)).findFirst();
  }

  /** The runs that choose a run's learning rate; none: it is given. */
  List<PlannedRun> tryouts(PlannedRun run) {
    Study.Rates rates = run.method().rates();
    return run.tried() != null || !rates.tuned()
        ? List.of()
        : rates.candidates().stream()
            .map(
                rate ->
                    new PlannedRun(
                        run.taskAndModel(), run.method(), run.limit(), rates.seed(), 0, rate))
            .toList();
  }

  /** The runs that a run cannot be made without. */
  List<PlannedRun> needs(PlannedRun run) {
    List<PlannedRun> needs = new ArrayList<>(tryouts(run));
    needs.addAll(taken(run));
    return needs;
  }

  /** Those whose directories are options of a run. */
  List<PlannedRun> taken(PlannedRun run) {
    return run.method().references().stream().map(one -> referenced(run, one)).toList();
  }

  /** One that tries a rate is of no seed of the others', and takes the first's. */
  private PlannedRun referenced(PlannedRun run, Study.Reference reference) {
    Study.Method its = study.method(reference.method()).orElseThrow();
    return new PlannedRun(
        reference.task() == null
            ? run.taskAndModel()
            : new TaskAndModel(reference.task(), run.taskAndModel().model()),
        its,
        its.budgets().isEmpty() ? null : run.limit(),
        study.seeds().contains(run.seed()) ? run.seed() : study.seeds().get(0),
        0,
        null);
  }

  /** In how many steps others have to be made first; 0: it can be made at once. */
  int stage(PlannedRun run) {
    return needs(run).stream().mapToInt(need -> stage(need) + 1).max().orElse(0);
  }

  /**
   * The words of a run's command, but for where it goes.
   *
   * @param rate its learning rate; null: the command's default
   */
  List<String> arguments(PlannedRun run, String rate) {
    String command = run.method().command();
    Map<OptionSpec, String> options = new LinkedHashMap<>();
    options.putAll(study.models().get(run.taskAndModel().model()).of(command));
    options.putAll(study.tasks().get(run.taskAndModel().task()).of(command));
    options.putAll(run.method().options());
    run.method()
        .references()
        .forEach(
            reference ->
                options.put(
                    reference.option(),
                    referenced(run, reference).directory(study.output()).toString()));
    List<String> words = new ArrayList<>(List.of(command));
    options.forEach((option, value) -> words.add(ConfigFile.name(option) + "=" + value));
    if (rate != null) {
      words.add("--learning-rate=" + rate);
    }
    if (run.limit() != null && run.method().takesBudget()) {
      words.add(run.limit().option() + "=" + run.limit().text());
    }
    if (run.method().isRandom()) {
      words.add(TrainCommand.DRAW + "=" + draw(run));
    }
    words.add("--seed=" + run.seed());
    words.add("--threads=" + study.threads());
    return words;
  }

  /**
   * A number of its own for each task and draw: the same random subsets in all tasks would say less
   * of random subsets than different ones.
   */
  private static int draw(PlannedRun run) {
    return (run.taskAndModel().task().hashCode() * 0x9e3779b9 >>> 2) + run.draw();
  }
}
