package org.prunepeft.study;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.prunepeft.data.Metric;

/**
 * Methods over all tasks and models, each of which counts alike.
 *
 * @param budget of the methods that have one; null: none has
 * @param rows a row for each method
 * @param comparisons of each row with those methods that all are compared with, over the tables
 *     that have both
 */
public record OverallTable(
    String budget, List<MethodRank> rows, List<MethodComparison> comparisons) {
  /** Copies the lists. */
  public OverallTable {
    rows = List.copyOf(rows);
    comparisons = List.copyOf(comparisons);
  }

  /**
   * A method over tables.
   *
   * @param arm the method
   * @param tables how many have it
   * @param ranked over how many its rank is: those that have all methods
   * @param rank its mean rank there, 1 for the best; NaN: no table has all methods
   * @param mean of its means over the tables that have it
   */
  public record MethodRank(Arm arm, int tables, int ranked, double rank, double mean) {}

  /**
   * {@return a table for each budget of which there are several tasks or models} Log-likelihoods
   * are left out: their differences are no points of a share or a correlation.
   *
   * @param tables of the study
   * @param comparedWith methods that all others are compared with
   */
  public static List<OverallTable> of(List<ComparisonTable> tables, List<String> comparedWith) {
    Map<Optional<String>, List<ComparisonTable>> byBudget =
        tables.stream()
            .filter(table -> table.metric() != Metric.LOG_LIKELIHOOD)
            .collect(
                Collectors.groupingBy(
                    table -> Optional.ofNullable(table.budget()),
                    LinkedHashMap::new,
                    Collectors.toList()));
    return byBudget.values().stream()
        .filter(own -> own.size() > 1)
        .map(own -> table(own, comparedWith))
        .toList();
  }

  private static OverallTable table(List<ComparisonTable> tables, List<String> comparedWith) {
    List<Arm> arms =
        tables.stream()
            .flatMap(table -> table.rows().stream().map(ComparisonTable.MethodResult::arm))
            .distinct()
            .toList();
    List<double[]> whole =
        tables.stream()
            .filter(table -> table.rows().size() == arms.size())
            .map(table -> arms.stream().mapToDouble(arm -> mean(table, arm)).toArray())
            .toList();
    double[] ranks = whole.isEmpty() ? null : Ranks.average(whole);
    List<MethodRank> rows =
        IntStream.range(0, arms.size())
            .mapToObj(
                i -> {
                  List<ComparisonTable> own =
                      tables.stream().filter(table -> table.row(arms.get(i)).isPresent()).toList();
                  return new MethodRank(
                      arms.get(i),
                      own.size(),
                      whole.size(),
                      ranks == null ? Double.NaN : ranks[i],
                      own.stream()
                          .mapToDouble(table -> mean(table, arms.get(i)))
                          .average()
                          .orElseThrow());
                })
            .toList();
    return new OverallTable(
        tables.get(0).budget(), rows, compared(tables, arms, new TreeSet<>(comparedWith)));
  }

  private static double mean(ComparisonTable table, Arm arm) {
    return table.row(arm).orElseThrow().test().mean();
  }

  private static List<MethodComparison> compared(
      List<ComparisonTable> tables, List<Arm> arms, Set<String> comparedWith) {
    List<MethodComparison> all = new ArrayList<>();
    for (Arm other : arms.stream().filter(one -> comparedWith.contains(one.method())).toList()) {
      for (Arm arm : arms) {
        List<SortedMap<Long, Double>> differences =
            ComparisonTable.compares(tables.get(0).budget(), arm, other)
                ? differences(tables, arm, other)
                : List.of();
        if (!differences.isEmpty()) {
          all.add(
              new MethodComparison(
                  arm, other, DifferenceOverSeeds.pooled(differences), Double.NaN));
        }
      }
    }
    return ComparisonTable.corrected(all);
  }

  private static List<SortedMap<Long, Double>> differences(
      List<ComparisonTable> tables, Arm arm, Arm other) {
    List<SortedMap<Long, Double>> differences = new ArrayList<>();
    for (ComparisonTable table : tables) {
      Optional<ComparisonTable.MethodResult> row = table.row(arm);
      Optional<ComparisonTable.MethodResult> its = table.row(other);
      if (row.isPresent() && its.isPresent()) {
        SortedMap<Long, Double> own = new TreeMap<>(row.get().bySeed());
        own.keySet().retainAll(its.get().bySeed().keySet());
        own.replaceAll((seed, value) -> value - its.get().bySeed().get(seed));
        if (!own.isEmpty()) {
          differences.add(own);
        }
      }
    }
    return differences;
  }
}
