package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.prunepeft.search.NotFiniteException;
import org.prunepeft.search.measured.MeasuredSubset.Purpose;

/**
 * All that was measured, a row a subset, with the examples dealt into those that choices are made
 * on and those that confirm them.
 */
final class Archive {
  private static final int MIN_EXAMPLES = 20;

  private final Pool pool;
  private final MeasuredSettings settings;
  private final SubsetMeasurer measurer;
  private final Map<BitSet, Integer> rows = new HashMap<>();
  private final List<BitSet> subsets = new ArrayList<>();
  private final List<Purpose> purposes = new ArrayList<>();

  /** What subsets are chosen by, on the examples that choices are made on. */
  final ValueTable scores = new ValueTable();

  /** The same on the others. */
  final ValueTable confirmedScores = new ValueTable();

  /**
   * What is said of subsets, on the examples that choices are made on; the scores, if these are it.
   */
  ValueTable metrics = scores;

  /** The same on the others. */
  ValueTable confirmedMetrics = confirmedScores;

  private boolean[] confirms;

  Archive(Pool pool, MeasuredSettings settings, SubsetMeasurer measurer) {
    this.pool = pool;
    this.settings = settings;
    this.measurer = measurer;
  }

  int size() {
    return subsets.size();
  }

  boolean knows(BitSet subset) {
    return rows.containsKey(subset);
  }

  int row(BitSet subset) {
    return rows.get(subset);
  }

  BitSet subset(int row) {
    return subsets.get(row);
  }

  Purpose purpose(int row) {
    return purposes.get(row);
  }

  List<MeasuredSubset> listed() {
    List<MeasuredSubset> listed = new ArrayList<>();
    for (int i = 0; i < size(); i++) {
      listed.add(
          new MeasuredSubset(
              purposes.get(i),
              pool.modules(subsets.get(i)),
              scores.mean(i),
              metrics.mean(i),
              confirmedMetrics.mean(i)));
    }
    return listed;
  }

  /** Measures those that are not known yet, in one call. */
  void measure(Map<BitSet, Purpose> wanted) {
    Map<BitSet, Purpose> unknown = new LinkedHashMap<>(wanted);
    unknown.keySet().removeIf(this::knows);
    if (unknown.isEmpty()) {
      return;
    }
    List<BitSet> order = List.copyOf(unknown.keySet());
    Measurements measured = measurer.measure(order.stream().map(pool::modules).toList());
    requireCount("subsets", order.size(), measured.score().length);
    requireCount("subsets", order.size(), measured.metric().length);
    for (int i = 0; i < order.size(); i++) {
      BitSet subset = order.get(i);
      if (confirms == null) {
        deal(measured.score()[i].length);
        if (measured.score() != measured.metric()) {
          metrics = new ValueTable();
          confirmedMetrics = new ValueTable();
        }
      }
      add(subset, measured.score()[i], scores, confirmedScores);
      if (metrics != scores) {
        add(subset, measured.metric()[i], metrics, confirmedMetrics);
      }
      rows.put(subset, size());
      subsets.add(subset);
      purposes.add(unknown.get(subset));
    }
  }

  private static void requireCount(String what, int wanted, int got) {
    if (got != wanted) {
      throw new IllegalStateException(
          "the measurer must give values of %d %s, got %d".formatted(wanted, what, got));
    }
  }

  private void add(BitSet subset, float[] values, ValueTable seen, ValueTable unseen) {
    requireCount("examples", confirms.length, values.length);
    int confirming = 0;
    for (boolean one : confirms) {
      confirming += one ? 1 : 0;
    }
    double[] chosenOn = new double[values.length - confirming];
    double[] others = new double[confirming];
    int at = 0;
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new NotFiniteException(
            "measurements must be finite, got "
                + values[i]
                + " for example "
                + i
                + " with modules "
                + pool.modules(subset).stream().map(module -> module.name()).toList());
      }
      if (confirms[i]) {
        others[i - at] = values[i];
      } else {
        chosenOn[at++] = values[i];
      }
    }
    seen.add(chosenOn);
    unseen.add(others);
  }

  private void deal(int examples) {
    if (examples < MIN_EXAMPLES) {
      throw new IllegalStateException(
          "a measured search needs at least "
              + MIN_EXAMPLES
              + " held-out examples, got "
              + examples);
    }
    SplittableRandom random = new SplittableRandom(settings.seed() ^ 0x5eedL);
    int left = (int) Math.round(settings.confirmation() * examples);
    confirms = new boolean[examples];
    for (int i = 0; i < examples; i++) {
      confirms[i] = random.nextInt(examples - i) < left;
      left -= confirms[i] ? 1 : 0;
    }
  }
}
