package org.prunepeft.cli;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.text.ShellWords;

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

  /** Of a host's name (RFC 1123), which each pod of an indexed job has. */
  private static final int LONGEST_LABEL = 63;

  private final Study study;
  private final StudyPlan plan;
  private final StudyDirectory directory;

  ClusterPlan(Study study, StudyPlan plan, StudyDirectory directory) {
    this.study = study;
    this.plan = plan;
    this.directory = directory;
  }

  /**
   * Writes the files of each stage into a folder of their own: jobs of earlier plans may still read
   * theirs.
   *
   * @return a line about each stage; none: nothing is missing
   */
  List<String> write() throws IOException {
    Map<Integer, List<PlannedRun>> stages = new TreeMap<>();
    for (PlannedRun run : plan.runs()) {
      if (!directory.isOver(run)) {
        stages.computeIfAbsent(plan.stage(run) + 1, stage -> new ArrayList<>()).add(run);
      }
    }
    if (stages.isEmpty()) {
      return List.of();
    }
    Path root = directory.root();
    Files.createDirectories(OwnFiles.require(root, root.resolve("logs")));
    Path folder = folder(OwnFiles.require(root, root.resolve("plan")).toAbsolutePath());
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

  private Path logs() {
    return directory.root().resolve("logs").toAbsolutePath();
  }

  /** A new one, whose number is above those of all that are there. */
  private static Path folder(Path plans) throws IOException {
    Files.createDirectories(plans);
    int last;
    try (Stream<Path> earlier = Files.list(plans)) {
      last =
          earlier
              .map(one -> one.getFileName().toString())
              .filter(name -> name.matches("[1-9][0-9]{0,8}"))
              .mapToInt(Integer::parseInt)
              .max()
              .orElse(0);
    }
    while (true) {
      try {
        return Files.createDirectory(plans.resolve(Integer.toString(++last)));
      } catch (FileAlreadyExistsException e) {
        // Of a plan that is written at the same time.
      }
    }
  }

  private void write(Path folder, int stage, List<PlannedRun> runs) throws IOException {
    Path commands = folder.resolve("commands-%d.txt".formatted(stage));
    String name = "%s-%s-%d".formatted(study.name(), folder.getFileName(), stage);
    String lines = runs.stream().map(this::line).collect(Collectors.joining("\n", "", "\n"));
    Map<Path, String> files =
        Map.of(
            commands,
            lines,
            folder.resolve("slurm-%d.sh".formatted(stage)),
            slurm(name, runs, commands),
            folder.resolve("kubernetes-%d.yaml".formatted(stage)),
            kubernetes(name, runs, commands));
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
    List<String> words =
        new ArrayList<>(
            List.of(
                System.getProperty(PROGRAM, "prunepeft"),
                "study",
                study.file().toAbsolutePath().toString(),
                "--run",
                run.name()));
    if (!study.plugins().isEmpty()) {
      words.add(PluginOptions.typing(study.plugins()));
    }
    return ShellWords.line(words);
  }

  private static Path here() {
    return Path.of("").toAbsolutePath();
  }

  /** Of more runs than an array may have, some tasks make several, one after the other. */
  private String slurm(String name, List<PlannedRun> runs, Path commands) {
    int tasks = Math.min(runs.size(), LARGEST_ARRAY);
    return """
        #!/bin/bash
        #SBATCH --job-name=%s
        #SBATCH --array=1-%d
        #SBATCH --cpus-per-task=%d
        #SBATCH --mem=4G%s
        #SBATCH --output=%s
        cd %s || exit 1
        failed=0
        for ((run = SLURM_ARRAY_TASK_ID; run <= %d; run += %d)); do
          line=$(sed -n "${run}p" %s)
          if [ -z "$line" ]; then
            echo "the plan has no line $run" >&2
            failed=1
            continue
          fi
          eval "$line" || failed=1
        done
        exit $failed
        """
        .formatted(
            name,
            tasks,
            study.threads(),
            needGpu(runs) ? "\n#SBATCH --gres=gpu:1" : "",
            // Slurm reads quotes as a shell does, and %% as a %.
            ShellWords.quoted(logs().toString().replace("%", "%%") + "/slurm-%A-%a.txt"),
            ShellWords.quoted(here().toString()),
            runs.size(),
            tasks,
            ShellWords.quoted(commands.toString()));
  }

  private String kubernetes(String name, List<PlannedRun> runs, Path commands) {
    String script =
        "line=$(sed -n \"$((JOB_COMPLETION_INDEX + 1))p\" %s); if [ -z \"$line\" ]; then echo \"the plan has no line $((JOB_COMPLETION_INDEX + 1))\" >&2; exit 1; fi; eval \"$line\""
            .formatted(ShellWords.quoted(commands.toString()));
    return """
        # Put in the image that has the program, and the claim of the volume that has this folder.
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: %s
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
            label(name, runs.size()),
            runs.size(),
            runs.size(),
            quoted(here().toString()),
            quoted(script),
            study.threads(),
            needGpu(runs) ? ", nvidia.com/gpu: 1" : "",
            quoted(here().toString()));
  }

  /** A name as Kubernetes takes it of a job whose pods have their numbers after it. */
  static String label(String name, int pods) {
    String label = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-").replaceAll("^-", "");
    int most = LONGEST_LABEL - "-%d".formatted(pods - 1).length();
    if (label.length() <= most) {
      return label;
    }
    String rest = "-%08x".formatted(name.hashCode());
    return label.substring(0, most - rest.length()).replaceAll("-$", "") + rest;
  }

  /** A text of YAML, between single quotes. */
  private static String quoted(String text) {
    return "'" + text.replace("'", "''") + "'";
  }
}
