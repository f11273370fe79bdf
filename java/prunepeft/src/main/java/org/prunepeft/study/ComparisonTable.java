package org.prunepeft.study;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.prunepeft.data.Metric;

/**
 * Methods side by side on one task and model: those within one budget, and those that have none.
 * Where there are budgets, pairs of methods that have none are compared in a table of their own: in
 * that of each budget they would be tested again.
 *
 * @param taskAndModel where it is
 * @param budget of those that have one; null: none has
 * @param metric the task's first
 * @param rows a row for each method that has runs, in the order of the study
 * @param comparisons of each row with those methods that all are compared with
 */
public record ComparisonTable(
    TaskAndModel taskAndModel,
    String budget,
    Metric metric,
    List<MethodResult> rows,
    List<MethodComparison> comparisons) {

  /** Copies the lists. */
  public ComparisonTable {
    rows = List.copyOf(rows);
    comparisons = List.copyOf(comparisons);
  }

  /**
   * A method's runs.
   *
   * @param arm the method
   * @param runs all of them
   * @param bySeed the test metric; of several draws their mean
   * @param test over the seeds
   * @param parameters mean of the trainable parameters, the head apart
   */
  public record MethodResult(
      Arm arm,
      List<StudyRun> runs,
      SortedMap<Long, Double> bySeed,
      Sample test,
      double parameters) {
    private static MethodResult of(Arm arm, List<StudyRun> runs) {
      SortedMap<Long, Double> bySeed =
          runs.stream()
              .collect(
                  Collectors.groupingBy(
                      StudyRun::seed,
                      TreeMap::new,
                      Collectors.averagingDouble(run -> run.result().test())));
      return new MethodResult(
          arm,
          List.copyOf(runs),
          bySeed,
          Sample.of(bySeed.values().stream().mapToDouble(value -> value).toArray()),
          runs.stream().mapToLong(run -> run.result().parameters()).average().orElseThrow());
    }
  }

  /**
   * {@return the tables of a study, by task, model and budget in the order of the runs}
   *
   * @param runs complete ones; all of a task have the same metric
   * @param comparedWith methods that all others are compared with
   * @throws IllegalArgumentException if the runs of a task and model differ in their metric
   */
  public static List<ComparisonTable> of(List<StudyRun> runs, List<String> comparedWith) {
    Map<TaskAndModel, List<StudyRun>> byTaskAndModel =
        runs.stream()
            .collect(
                Collectors.groupingBy(
                    StudyRun::taskAndModel, LinkedHashMap::new, Collectors.toList()));
    List<ComparisonTable> tables = new ArrayList<>();
    byTaskAndModel.forEach(
        (taskAndModel, own) -> {
          requireOneMetric(taskAndModel, own);
          Set<String> budgets = new LinkedHashSet<>();
          own.stream()
              .map(run -> run.arm().budget())
              .filter(Objects::nonNull)
              .forEach(budgets::add);
          ComparisonTable without = of(taskAndModel, null, own, comparedWith);
          if (budgets.isEmpty() || !without.comparisons.isEmpty()) {
            tables.add(without);
          }
          budgets.forEach(budget -> tables.add(of(taskAndModel, budget, own, comparedWith)));
        });
    return tables;
  }

  private static void requireOneMetric(TaskAndModel taskAndModel, List<StudyRun> runs) {
    List<String> metrics =
        runs.stream().map(run -> run.result().metric().key()).distinct().toList();
    if (metrics.size() > 1) {
      throw new IllegalArgumentException(
          "runs of task %s and model %s can't be compared: their first metrics are %s; name the same for all of the task"
              .formatted(taskAndModel.task(), taskAndModel.model(), String.join(", ", metrics)));
    }
  }

  private static ComparisonTable of(
      TaskAndModel taskAndModel, String budget, List<StudyRun> runs, List<String> comparedWith) {
    Map<Arm, List<StudyRun>> byArm =
        runs.stream()
            .filter(run -> run.arm().budget() == null || run.arm().budget().equals(budget))
            .collect(Collectors.groupingBy(StudyRun::arm, LinkedHashMap::new, Collectors.toList()));
    List<MethodResult> rows = new ArrayList<>();
    byArm.forEach((arm, own) -> rows.add(MethodResult.of(arm, own)));
    return new ComparisonTable(
        taskAndModel,
        budget,
        runs.get(0).result().metric(),
        rows,
        compared(budget, rows, comparedWith));
  }

  /** Whether two methods are compared in the table of a budget: one of them at least has it. */
  static boolean compares(String budget, Arm arm, Arm other) {
    return !arm.equals(other) && (budget == null || arm.budget() != null || other.budget() != null);
  }

  private static List<MethodComparison> compared(
      String budget, List<MethodResult> rows, List<String> comparedWith) {
    List<MethodResult> others =
        comparedWith.stream()
            .flatMap(name -> rows.stream().filter(row -> row.arm.method().equals(name)))
            .toList();
    List<MethodComparison> all = new ArrayList<>();
    for (MethodResult other : others) {
      for (MethodResult row : rows) {
        double[][] pairs = pairs(row, other);
        if (compares(budget, row.arm, other.arm) && pairs[0].length > 0) {
          all.add(
              new MethodComparison(
                  row.arm, other.arm, DifferenceOverSeeds.of(pairs[0], pairs[1]), Double.NaN));
        }
      }
    }
    return corrected(all);
  }

  /** Values of the seeds that both have. */
  static double[][] pairs(MethodResult row, MethodResult other) {
    List<Long> seeds = row.bySeed.keySet().stream().filter(other.bySeed::containsKey).toList();
    return new double[][] {
      seeds.stream().mapToDouble(row.bySeed::get).toArray(),
      seeds.stream().mapToDouble(other.bySeed::get).toArray()
    };
  }

  /** Two methods that are compared both ways are one pair. */
  static List<MethodComparison> corrected(List<MethodComparison> all) {
    Map<Set<Arm>, Double> p = new LinkedHashMap<>();
    all.forEach(one -> p.putIfAbsent(Set.of(one.arm(), one.other()), one.difference().p()));
    List<Set<Arm>> pairs = List.copyOf(p.keySet());
    double[] adjusted = Holm.adjusted(p.values().stream().mapToDouble(value -> value).toArray());
    return all.stream()
        .map(
            one ->
                new MethodComparison(
                    one.arm(),
                    one.other(),
                    one.difference(),
                    adjusted[pairs.indexOf(Set.of(one.arm(), one.other()))]))
        .toList();
  }

  /**
   * {@return the row of a method, if it has runs}
   *
   * @param arm the method
   */
  public Optional<MethodResult> row(Arm arm) {
    return rows.stream().filter(row -> row.arm.equals(arm)).findFirst();
  }
}
