package org.prunepeft.cli;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.text.Spelling;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
    name = "study",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Compares methods over tasks, models, budgets and seeds, as a file says it: each run is a search or a training in a directory of its own. Runs that are complete are not made again, and those that were cut off go on: after whatever ended it, the same command leads to the same tables.",
      "",
      "Tables with paired differences, their intervals and Holm's correction are in study.md of the study's directory, a row for each run in study.csv, all of it in study.json, what runs cost in costs.md and costs.csv."
    },
    footer = {
      "",
      "Examples:",
      "  prunepeft study benchmarks/studies/small.yaml",
      "  prunepeft study STUDY.yaml --watch       with a page that shows how far it is",
      "  prunepeft study STUDY.yaml --collect     tables of the runs that are there",
      "  prunepeft study STUDY.yaml --plan        commands of those that are not, for a cluster",
      "  prunepeft report runs/small              a page of the study in that directory"
    })
final class StudyCommand implements Callable<Integer> {
  private static final String WATCH = "--watch";

  @Parameters(paramLabel = "STUDY.yaml", description = "What is compared.")
  private Path file;

  @Option(
      names = WATCH,
      description =
          "Keep a page of the study, report.html in its directory, up to date while it goes on. It loads itself anew.")
  private boolean watch;

  @ArgGroup private Way way = new Way();

  @Mixin private PluginOptions plugins;

  @Spec private CommandSpec spec;

  /** Instead of making all runs. */
  static final class Way {
    @Option(
        names = "--plan",
        description =
            "Make no runs, but write the commands of those that are missing, an array of Slurm's and a Job of Kubernetes that run them, into a new folder of the study's folder plan.")
    private boolean plan;

    @Option(
        names = "--collect",
        description = "Make no runs, but write the tables of those there are.")
    private boolean collect;

    @Option(
        names = "--run",
        paramLabel = "NAME",
        description = "Make one run, by the name of its directory, and write no tables.")
    private String run;

    private boolean makesAll() {
      return !plan && !collect && run == null;
    }
  }

  @Override
  public Integer call() throws IOException {
    if (watch && !way.makesAll()) {
      throw new IllegalArgumentException(
          WATCH + " is for a study that is made here: leave out --plan, --collect or --run");
    }
    Study study = StudyFile.read(file);
    if (!way.collect) {
      PluginOptions.requireTyped(file.toString(), study.plugins(), spec);
    }
    StudyPlan plan = new StudyPlan(study);
    StudyDirectory directory = new StudyDirectory(study, plan);
    if (way.plan) {
      List<String> stages = new ClusterPlan(study, plan, directory).write();
      stages.forEach(System.out::println);
      if (stages.isEmpty()) {
        System.out.println("no run is missing");
      }
      return CommandLine.ExitCode.OK;
    }
    if (way.collect) {
      directory.requireUndamaged();
      tables(study, plan, directory);
      return CommandLine.ExitCode.OK;
    }
    Interruption.begins(() -> "interrupted; the same command goes on with the study");
    if (way.run != null) {
      return one(plan, directory);
    }
    Map<String, String> failures;
    try (FileChannel lock = directory.lock();
        ProgressDisplay display = ProgressDisplay.create("study", null);
        PageWatch page = watch ? watch(study, plan, directory, display) : null) {
      failures = new StudyRunner(plan, directory, display).make(study.jobs());
    }
    tables(study, plan, directory);
    failures.forEach((run, reason) -> System.err.println("failed: " + run + ": " + reason));
    return failures.isEmpty() ? CommandLine.ExitCode.OK : CommandLine.ExitCode.SOFTWARE;
  }

  private PageWatch watch(
      Study study, StudyPlan plan, StudyDirectory directory, ProgressDisplay display) {
    PageWatch page =
        new PageWatch(
            new StudyPage(study, plan, directory),
            StudyPage.SECONDS,
            display,
            spec.commandLine().getErr());
    page.directory(directory.root());
    return page;
  }

  private static void tables(Study study, StudyPlan plan, StudyDirectory directory)
      throws IOException {
    StudyFiles files = new StudyFiles(study, plan, directory);
    files.write();
    System.out.print(files.tables());
    files.versions().ifPresent(System.err::println);
    if (!files.missing().isEmpty()) {
      System.err.printf("%d runs are missing%n", files.missing().size());
    }
  }

  private int one(StudyPlan plan, StudyDirectory directory) {
    PlannedRun run =
        plan.run(way.run)
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        Spelling.unknown(
                            "run", way.run, plan.runs().stream().map(PlannedRun::name).toList())));
    plan.needs(run).stream()
        .filter(need -> !directory.isOver(need))
        .findFirst()
        .ifPresent(
            need -> {
              throw new RunDirectoryException(
                  "%s needs %s, which is not complete; make that first"
                      .formatted(run.name(), need.name()));
            });
    String refusal = directory.refusal(run);
    if (refusal != null) {
      throw new RunDirectoryException(run.name() + ": " + refusal);
    }
    requireAlike(plan, directory);
    String failure;
    try (ProgressDisplay display = ProgressDisplay.create("study", null)) {
      failure = new StudyRunner(plan, directory, display).attempt(run);
    }
    if (failure != null) {
      throw new RunDirectoryException(
          "%s failed: %s; its log is %s".formatted(run.name(), failure, directory.log(run)));
    }
    directory.requireAlike();
    System.out.println(
        (directory.isComplete(run) ? "complete: " : "diverged: ")
            + run.directory(directory.root()));
    return CommandLine.ExitCode.OK;
  }

  /** Of those that are complete so far. */
  private static void requireAlike(StudyPlan plan, StudyDirectory directory) {
    plan.runs().forEach(directory::isComplete);
    directory.requireAlike();
  }
}
