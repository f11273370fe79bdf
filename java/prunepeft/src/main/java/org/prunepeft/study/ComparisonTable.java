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
 *
 * @param setting task and model
 * @param budget of those that have one; null: none has
 * @param metric the task's first
 * @param rows a row for each method that has runs, in the order of the study
 * @param comparisons of each row with those methods that all are compared with
 */
public record ComparisonTable(
    Setting setting, String budget, Metric metric, List<Row> rows, List<Comparison> comparisons) {

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
  public record Row(
      Arm arm,
      List<StudyRun> runs,
      SortedMap<Long, Double> bySeed,
      Sample test,
      double parameters) {
    private static Row of(Arm arm, List<StudyRun> runs) {
      SortedMap<Long, Double> bySeed =
          runs.stream()
              .collect(
                  Collectors.groupingBy(
                      StudyRun::seed,
                      TreeMap::new,
                      Collectors.averagingDouble(run -> run.result().test())));
      return new Row(
          arm,
          List.copyOf(runs),
          bySeed,
          Sample.of(bySeed.values().stream().mapToDouble(value -> value).toArray()),
          runs.stream().mapToLong(run -> run.result().parameters()).average().orElseThrow());
    }
  }

  /**
   * {@return the tables of a study, by setting and budget in the order of the runs}
   *
   * @param runs complete ones; of each setting all of one task and so of one metric
   * @param comparedWith methods that all others are compared with
   */
  public static List<ComparisonTable> of(List<StudyRun> runs, List<String> comparedWith) {
    Map<Setting, List<StudyRun>> bySetting =
        runs.stream()
            .collect(
                Collectors.groupingBy(StudyRun::setting, LinkedHashMap::new, Collectors.toList()));
    List<ComparisonTable> tables = new ArrayList<>();
    bySetting.forEach(
        (setting, own) -> {
          Set<String> budgets = new LinkedHashSet<>();
          own.stream()
              .map(run -> run.arm().budget())
              .filter(Objects::nonNull)
              .forEach(budgets::add);
          if (budgets.isEmpty()) {
            tables.add(of(setting, null, own, comparedWith));
          }
          budgets.forEach(budget -> tables.add(of(setting, budget, own, comparedWith)));
        });
    return tables;
  }

  private static ComparisonTable of(
      Setting setting, String budget, List<StudyRun> runs, List<String> comparedWith) {
    Map<Arm, List<StudyRun>> byArm =
        runs.stream()
            .filter(run -> run.arm().budget() == null || run.arm().budget().equals(budget))
            .collect(Collectors.groupingBy(StudyRun::arm, LinkedHashMap::new, Collectors.toList()));
    List<Row> rows = new ArrayList<>();
    byArm.forEach((arm, own) -> rows.add(Row.of(arm, own)));
    return new ComparisonTable(
        setting, budget, runs.get(0).result().metric(), rows, compared(rows, comparedWith));
  }

  private static List<Comparison> compared(List<Row> rows, List<String> comparedWith) {
    List<Row> others =
        comparedWith.stream()
            .flatMap(name -> rows.stream().filter(row -> row.arm.method().equals(name)))
            .toList();
    List<Comparison> all = new ArrayList<>();
    for (Row other : others) {
      for (Row row : rows) {
        double[][] pairs = pairs(row, other);
        if (row != other && pairs[0].length > 0) {
          all.add(
              new Comparison(row.arm, other.arm, Difference.of(pairs[0], pairs[1]), Double.NaN));
        }
      }
    }
    return corrected(all);
  }

  /** Values of the seeds that both have. */
  static double[][] pairs(Row row, Row other) {
    List<Long> seeds = row.bySeed.keySet().stream().filter(other.bySeed::containsKey).toList();
    return new double[][] {
      seeds.stream().mapToDouble(row.bySeed::get).toArray(),
      seeds.stream().mapToDouble(other.bySeed::get).toArray()
    };
  }

  /** Two methods that are compared both ways are one pair. */
  static List<Comparison> corrected(List<Comparison> all) {
    Map<Set<Arm>, Double> p = new LinkedHashMap<>();
    all.forEach(one -> p.putIfAbsent(Set.of(one.arm(), one.other()), one.difference().p()));
    List<Set<Arm>> pairs = List.copyOf(p.keySet());
    double[] adjusted = Holm.adjusted(p.values().stream().mapToDouble(value -> value).toArray());
    return all.stream()
        .map(
            one ->
                new Comparison(
                    one.arm(),
                    one.other(),
                    one.difference(),
                    adjusted[pairs.indexOf(Set.of(one.arm(), one.other()))]))
        .toList();
  }

  /**
   * {@return how a method compares with another; empty: they have no seed in common, or that is not
   * asked for}
   *
   * @param arm the method
   * @param method the other's name
   */
  public Optional<Comparison> comparison(Arm arm, String method) {
    return comparisons.stream()
        .filter(one -> one.arm().equals(arm) && one.other().method().equals(method))
        .findFirst();
  }

  /**
   * {@return the row of a method, if it has runs}
   *
   * @param arm the method
   */
  public Optional<Row> row(Arm arm) {
    return rows.stream().filter(row -> row.arm.equals(arm)).findFirst();
  }
}
