package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/**
 * The best sums of values for each size, exact: modules of one size are taken in the order of their
 * values, and sums that are neither smaller nor better than another are dropped (Nemhauser and
 * Ullmann, 1969).
 */
public final class Knapsack {
  /** More than these are only reached with many different sizes; then the sums become near-best. */
  private static final int MOST_SUMS = 20_000;

  /**
   * A subset that no other beats.
   *
   * @param size in parameters
   * @param value the sum of its modules' values
   * @param modules by number
   */
  record Filling(long size, double value, BitSet modules) {}

  private record Sum(long size, double value, Sum before, int[] group, int taken) {}

  private Knapsack() {}

  /**
   * {@return the modules whose values add up to the most within a budget, sorted by layer, type and
   * name; none of them is worth nothing or less, so that they may be none}
   *
   * @param space all modules that there are
   * @param values of its modules, in their order there
   * @param budget trainable parameters that may be left
   * @throws IllegalArgumentException if there are not as many values as modules
   */
  public static List<Candidate> best(SearchSpace space, double[] values, long budget) {
    if (values.length != space.candidates().size()) {
      throw new IllegalArgumentException(
          "%d modules need as many values, got %d"
              .formatted(space.candidates().size(), values.length));
    }
    Pool pool = new Pool(space);
    List<Filling> fillings = frontier(values, pool, pool.all(), budget);
    return pool.modules(fillings.get(fillings.size() - 1).modules);
  }

  /**
   * By rising size and rising value, from the empty one on; modules without value are not taken.
   */
  static List<Filling> frontier(double[] values, Pool pool, BitSet allowed, long capacity) {
    Map<Long, List<Integer>> groups = new TreeMap<>();
    allowed.stream()
        .filter(number -> values[number] > 0 && pool.size(number) <= capacity)
        .forEach(
            number ->
                groups.computeIfAbsent(pool.size(number), size -> new ArrayList<>()).add(number));
    List<Sum> sums = List.of(new Sum(0, 0, null, new int[0], 0));
    for (Map.Entry<Long, List<Integer>> group : groups.entrySet()) {
      int[] members =
          group.getValue().stream()
              .sorted(Comparator.comparingDouble(number -> -values[number]))
              .mapToInt(Integer::intValue)
              .toArray();
      sums = undominated(extended(sums, members, values, group.getKey(), capacity));
    }
    return sums.stream().map(sum -> new Filling(sum.size, sum.value, modules(sum))).toList();
  }

  private static List<Sum> extended(
      List<Sum> sums, int[] members, double[] values, long size, long capacity) {
    List<Sum> all = new ArrayList<>();
    for (Sum sum : sums) {
      double value = sum.value;
      all.add(new Sum(sum.size, value, sum, members, 0));
      for (int taken = 1; taken <= members.length; taken++) {
        long total = sum.size + taken * size;
        if (total > capacity) {
          break;
        }
        value += values[members[taken - 1]];
        all.add(new Sum(total, value, sum, members, taken));
      }
    }
    return all;
  }

  private static List<Sum> undominated(List<Sum> sums) {
    Sum[] sorted = sums.toArray(Sum[]::new);
    Arrays.sort(
        sorted,
        Comparator.comparingLong(Sum::size).thenComparing(Sum::value, Comparator.reverseOrder()));
    List<Sum> kept = new ArrayList<>();
    double best = Double.NEGATIVE_INFINITY;
    for (Sum sum : sorted) {
      if (sum.value > best) {
        kept.add(sum);
        best = sum.value;
      }
    }
    if (kept.size() <= MOST_SUMS) {
      return kept;
    }
    int every = kept.size() / MOST_SUMS + 1;
    List<Sum> thinned = new ArrayList<>();
    for (int i = (kept.size() - 1) % every; i < kept.size(); i += every) {
      thinned.add(kept.get(i));
    }
    return thinned;
  }

  private static BitSet modules(Sum last) {
    BitSet modules = new BitSet();
    for (Sum sum = last; sum != null; sum = sum.before) {
      for (int i = 0; i < sum.taken; i++) {
        modules.set(sum.group[i]);
      }
    }
    return modules;
  }
}
