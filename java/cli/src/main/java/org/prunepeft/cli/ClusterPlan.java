package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Writes the runs that a study lacks for a cluster whose machines share the study's directory: one
 * command a line, an array of Slurm's and an indexed Job of Kubernetes that run them. Runs that
 * need others are a stage after these.
 */
final class ClusterPlan {
  /** What runs the command line; the launcher sets it. */
  static final String PROGRAM = "prunepeft.program";

  /** Slurm's MaxArraySize is 1001 unless a site sets it, and no index may reach it. */
  private static final int LARGEST_ARRAY = 1000;

  private static final Pattern OWN =
      Pattern.compile("(commands|slurm|kubernetes)-[0-9]+\\.(txt|sh|yaml)");

  private final Study study;
  private final StudyPlan plan;
  private final StudyDirectory directory;

  ClusterPlan(Study study, StudyPlan plan, StudyDirectory directory) {
    this.study = study;
    this.plan = plan;
    this.directory = directory;
  }

  /**
   * Writes the files of each stage; those of an earlier plan are gone then.
   *
   * @return a line about each stage; none: nothing is missing
   */
  List<String> write() throws IOException {
    Path folder = directory.root().resolve("plan").toAbsolutePath();
    Files.createDirectories(folder);
    Files.createDirectories(directory.root().resolve("logs"));
    try (var earlier = Files.list(folder)) {
      for (Path file : earlier.toList()) {
        if (OWN.matcher(file.getFileName().toString()).matches()) {
          Files.delete(file);
        }
      }
    }
    Map<Integer, List<PlannedRun>> stages = new TreeMap<>();
    for (PlannedRun run : plan.runs()) {
      if (!directory.isOver(run)) {
        stages.computeIfAbsent(plan.stage(run) + 1, stage -> new ArrayList<>()).add(run);
      }
    }
    List<String> said = new ArrayList<>();
    for (var stage : stages.entrySet()) {
      write(folder, stage.getKey(), stage.getValue());
      said.add(
          "stage %d: %d runs in %s"
              .formatted(
                  stage.getKey(),
                  stage.getValue().size(),
                  folder.resolve("commands-%d.txt".formatted(stage.getKey()))));
    }
    return said;
  }

  private void write(Path folder, int stage, List<PlannedRun> runs) throws IOException {
    Path commands = folder.resolve("commands-%d.txt".formatted(stage));
    String lines = runs.stream().map(this::line).collect(Collectors.joining("\n", "", "\n"));
    Map<Path, String> files =
        Map.of(
            commands,
            lines,
            folder.resolve("slurm-%d.sh".formatted(stage)),
            slurm(stage, runs, commands),
            folder.resolve("kubernetes-%d.yaml".formatted(stage)),
            kubernetes(stage, runs, commands));
    for (var file : files.entrySet()) {
      Outputs.write(file.getKey(), writer -> writer.write(file.getValue()));
    }
  }

  private boolean needGpu(List<PlannedRun> runs) {
    return runs.stream()
        .flatMap(run -> plan.arguments(run, null).stream())
        .anyMatch(word -> word.startsWith("--device=cuda"));
  }

  private String line(PlannedRun run) {
    return ShellWords.line(
        List.of(
            System.getProperty(PROGRAM, "prunepeft"),
            "study",
            study.file().toAbsolutePath().toString(),
            "--run",
            run.name()));
  }

  private static Path here() {
    return Path.of("").toAbsolutePath();
  }

  /** Of more runs than an array may have, some tasks make several, one after the other. */
  private String slurm(int stage, List<PlannedRun> runs, Path commands) {
    int tasks = Math.min(runs.size(), LARGEST_ARRAY);
    return """
        #!/bin/bash
        #SBATCH --job-name=%s-%d
        #SBATCH --array=1-%d
        #SBATCH --cpus-per-task=%d
        #SBATCH --mem=4G%s
        #SBATCH --output=%s/slurm-%%A-%%a.txt
        cd %s || exit 1
        failed=0
        for ((run = SLURM_ARRAY_TASK_ID; run <= %d; run += %d)); do
          eval "$(sed -n "${run}p" %s)" || failed=1
        done
        exit $failed
        """
        .formatted(
            study.name(),
            stage,
            tasks,
            study.threads(),
            needGpu(runs) ? "\n#SBATCH --gres=gpu:1" : "",
            commands.resolveSibling("../logs").normalize(),
            ShellWords.quoted(here().toString()),
            runs.size(),
            tasks,
            ShellWords.quoted(commands.toString()));
  }

  private String kubernetes(int stage, List<PlannedRun> runs, Path commands) {
    String script =
        "eval \"$(sed -n \"$((JOB_COMPLETION_INDEX + 1))p\" %s)\""
            .formatted(ShellWords.quoted(commands.toString()));
    return """
        # Put in the image that has the program, and the claim of the volume that has this folder.
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: %s-%d
        spec:
          completionMode: Indexed
          completions: %d
          parallelism: %d
          backoffLimitPerIndex: 3
          template:
            spec:
              restartPolicy: Never
              containers:
                - name: run
                  image: prunepeft
                  workingDir: %s
                  command: ["bash", "-c", %s]
                  resources:
                    requests: {cpu: "%d", memory: 4Gi}
                    limits: {memory: 4Gi%s}
                  volumeMounts:
                    - {name: shared, mountPath: %s}
              volumes:
                - name: shared
                  persistentVolumeClaim: {claimName: shared}
        """
        .formatted(
            study.name().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-"),
            stage,
            runs.size(),
            runs.size(),
            quoted(here().toString()),
            quoted(script),
            study.threads(),
            needGpu(runs) ? ", nvidia.com/gpu: 1" : "",
            quoted(here().toString()));
  }

  /** A text of YAML, between single quotes. */
  private static String quoted(String text) {
    return "'" + text.replace("'", "''") + "'";
  }
}
