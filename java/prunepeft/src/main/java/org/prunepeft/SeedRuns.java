package org.prunepeft;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.data.Metric;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.kernels.Linear;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.run.CheckpointStore;
import org.prunepeft.run.OutcomeFile;
import org.prunepeft.run.RunsAlike;
import org.prunepeft.run.RunsTogether;
import org.prunepeft.settings.RunSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Markdown;

/**
 * One run with several seeds, each of which draws its own training data, weights and order; they
 * share the test part.
 *
 * @param seeds in the order in which they were run
 * @param outcomes in the same order
 */
public record SeedRuns(List<Long> seeds, List<TrainOutcome> outcomes) {
  /** Copies the lists. */
  public SeedRuns {
    seeds = List.copyOf(seeds);
    outcomes = List.copyOf(outcomes);
  }

  /**
   * A value over the seeds: its mean, and how far it varies.
   *
   * @param deviation standard deviation of a sample (n − 1); 0 for one seed
   * @param least smallest value
   * @param most largest value
   */
  public record Aggregate(double mean, double deviation, double least, double most) {
    /** Of 1 or more values. */
    public static Aggregate of(double[] values) {
      double mean = java.util.Arrays.stream(values).average().orElseThrow();
      double squares = java.util.Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
      return new Aggregate(
          mean,
          values.length == 1 ? 0 : Math.sqrt(squares / (values.length - 1)),
          java.util.Arrays.stream(values).min().getAsDouble(),
          java.util.Arrays.stream(values).max().getAsDouble());
    }
  }

  /**
   * Runs a setup once for each seed. The setup's output becomes a directory with one for each run,
   * {@code seed-N}, and means and deviations in {@code seeds.json} and {@code summary.md}. Where
   * they are resumed, runs that are complete are compared with what the others would be now, or, if
   * all are, with the setup and the settings.
   *
   * @param setup whose own seed is not used
   * @param settings with which each run searches or trains, compared where they are resumed; null:
   *     the setup alone is, of runs that a program makes in another way
   * @param seeds one or more, distinct
   * @param progress is notified of each run's beginning, and in the end of the directory above
   *     those of the runs
   * @param run searches or trains, and says what the training gave
   * @return the outcomes in the order of the seeds
   * @throws IllegalArgumentException if there are no seeds, or one is there twice
   * @throws org.prunepeft.io.UnresumableRunException if they are resumed, and a complete run is of
   *     other data, another model, other plugins or other settings, but for its seed, or the
   *     directory has runs of other seeds; nothing is trained then
   * @throws org.prunepeft.io.RunDirectoryException if the directory can't be made or written, or
   *     that of a run in it is a symbolic link
   */
  public static SeedRuns of(
      Setup setup,
      RunSettings settings,
      List<Long> seeds,
      ProgressListener progress,
      Function<Setup, TrainOutcome> run) {
    return inOneDirectory(
        setup,
        settings,
        seeds,
        progress,
        (setups, directory) -> {
          List<TrainOutcome> outcomes = new ArrayList<>();
          for (Setup own : setups) {
            progress.message(
                "seed " + own.seed() + ", " + (outcomes.size() + 1) + " of " + seeds.size());
            outcomes.add(RunsInDirectory.outcome(own, run));
          }
          return outcomes;
        });
  }

  /**
   * The same with the seeds' trainings together: the model is loaded once, and where all runs ask
   * for a training, a step of each is one pass of their batches through the frozen encoder, below
   * one another. It is meant for a GPU, which the batches of one small run do not fill. Batches are
   * padded to the longest of all seeds; so each run becomes what it becomes alone but for rounding
   * and for dropout, whose masks go by the padded rows.
   *
   * @param setup whose own seed is not used
   * @param settings as {@link #of} takes them
   * @param seeds 1 to 32, distinct
   * @param progress is notified in the end of the directory above those of the runs
   * @param run searches or trains with what it is given, and says what the training gave; called on
   *     a thread of its own for each seed, but never on two at a time
   * @return the outcomes in the order of the seeds
   * @throws IllegalArgumentException if there are no seeds, too many, or one is there twice
   * @throws org.prunepeft.io.UnresumableRunException as {@link #of} does
   * @throws RuntimeException what a run has thrown, when all have ended
   */
  public static SeedRuns together(
      Setup setup,
      RunSettings settings,
      List<Long> seeds,
      ProgressListener progress,
      BiFunction<Setup, SharedEncoder, TrainOutcome> run) {
    if (seeds.size() > Linear.MOST_RUNS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "at most %d seeds are trained together, got %d; name fewer, or leave out --together",
              Linear.MOST_RUNS,
              seeds.size()));
    }
    return inOneDirectory(
        setup,
        settings,
        seeds,
        progress,
        (setups, directory) -> {
          if (directory == null) {
            return RunsTogether.together(
                setups, null, (own, runs) -> run.apply(own, new SharedEncoder(runs)));
          }
          if (RunsInDirectory.areOver(setups)) {
            return setups.stream().map(own -> OutcomeFile.read(own.output())).toList();
          }
          try (CheckpointStore store = new CheckpointStore(directory, setup.checkpoints())) {
            return RunsTogether.together(
                setups, store, (own, runs) -> run.apply(own, new SharedEncoder(runs)));
          }
        });
  }

  private static SeedRuns inOneDirectory(
      Setup setup,
      RunSettings settings,
      List<Long> seeds,
      ProgressListener progress,
      BiFunction<List<Setup>, RunDirectory, List<TrainOutcome>> run) {
    if (seeds.isEmpty() || new HashSet<>(seeds).size() != seeds.size()) {
      throw new IllegalArgumentException(
          "the seeds must be one or more, none of them twice, got " + seeds);
    }
    return RunsInDirectory.make(
        setup,
        settings,
        progress,
        RunsAlike.Kind.SEED,
        seeds.stream().map(SeedRuns::name).toList(),
        directory -> {
          List<Setup> setups = new ArrayList<>();
          for (long seed : seeds) {
            Path own = directory == null ? null : directory.writable(name(seed));
            setups.add(setup.with().seed(seed).output(own).build());
          }
          return new SeedRuns(seeds, run.apply(setups, directory));
        },
        (directory, runs) ->
            RunsInDirectory.write(directory, RunFiles.SEEDS, runs.toMap(), runs.summary(setup)));
  }

  private static String name(long seed) {
    return "seed-" + seed;
  }

  /** {@return each metric on the test sets, over the seeds} */
  public Map<Metric, Aggregate> test() {
    Map<Metric, Aggregate> aggregates = new LinkedHashMap<>();
    for (Metric metric : outcomes.get(0).test().metrics().keySet()) {
      aggregates.put(
          metric,
          Aggregate.of(
              outcomes.stream().mapToDouble(one -> one.test().metrics().get(metric)).toArray()));
    }
    return aggregates;
  }

  private Map<String, Object> toMap() {
    Map<String, Object> test = new LinkedHashMap<>();
    test()
        .forEach(
            (metric, aggregate) -> {
              Map<String, Object> values = new LinkedHashMap<>();
              values.put("mean", aggregate.mean);
              values.put("standard_deviation", aggregate.deviation);
              values.put("min", aggregate.least);
              values.put("max", aggregate.most);
              values.put(
                  "by_seed",
                  outcomes.stream().map(outcome -> outcome.test().metrics().get(metric)).toList());
              test.put(metric.key(), values);
            });
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("seeds", seeds);
    map.put("test", test);
    map.put("trainable_parameters", outcomes.stream().map(TrainOutcome::parameters).toList());
    return map;
  }

  /** A table in Markdown: a line for each seed, mean and standard deviation. */
  String summary(Setup setup) {
    Map<Metric, Aggregate> test = test();
    StringBuilder text = new StringBuilder();
    text.append(
        "# PrunePEFT: %s on %s, seeds %s\n\n"
            .formatted(
                setup.model(),
                setup.task(),
                seeds.stream().map(String::valueOf).collect(Collectors.joining(", "))));
    List<String> head = new ArrayList<>(List.of("seed"));
    test.keySet().forEach(metric -> head.add("test " + metric.label()));
    head.add("parameters");
    List<List<String>> rows = new ArrayList<>();
    for (int i = 0; i < seeds.size(); i++) {
      TrainOutcome outcome = outcomes.get(i);
      List<String> cells = new ArrayList<>(List.of(String.valueOf(seeds.get(i))));
      outcome.test().metrics().forEach((metric, value) -> cells.add(metric.format(value)));
      cells.add(String.format(Locale.ROOT, "%,d", outcome.parameters()));
      rows.add(cells);
    }
    List<String> means = new ArrayList<>(List.of("mean"));
    List<String> deviations = new ArrayList<>(List.of("deviation"));
    test.forEach(
        (metric, aggregate) -> {
          means.add(metric.format(aggregate.mean));
          deviations.add(metric.formatDifference(aggregate.deviation));
        });
    means.add("");
    deviations.add("");
    rows.add(means);
    rows.add(deviations);
    return text.append(Markdown.table(head, rows, i -> true)).toString();
  }
}
