package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import org.prunepeft.search.measured.MeasuredSubset.Purpose;
import org.prunepeft.search.measured.MeasuringListener.Phase;

/**
 * All that was measured, a row a subset, with the examples dealt into those that choices are made
 * on and those that confirm them.
 */
final class Archive {
  private static final int MIN_EXAMPLES = 20;

  private final Pool pool;
  private final MeasuredSettings settings;
  private final SubsetMeasurer measurer;
  private final MeasuringListener listener;
  private final Map<BitSet, Integer> rows = new HashMap<>();
  private final List<BitSet> subsets = new ArrayList<>();
  private final List<Purpose> purposes = new ArrayList<>();
  private final List<double[]> search = new ArrayList<>();
  private final List<double[]> confirmation = new ArrayList<>();
  private final List<Double> means = new ArrayList<>();
  private final List<double[]> deviations = new ArrayList<>();
  private final List<double[]> covariances = new ArrayList<>();
  private boolean[] confirms;

  Archive(
      Pool pool, MeasuredSettings settings, SubsetMeasurer measurer, MeasuringListener listener) {
    this.pool = pool;
    this.settings = settings;
    this.measurer = measurer;
    this.listener = listener;
  }

  int size() {
    return subsets.size();
  }

  Set<BitSet> known() {
    return rows.keySet();
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

  /** The metric on the examples that choices are made on. */
  double mean(int row) {
    return means.get(row);
  }

  /** The covariance of two subsets' values over these examples. */
  double covariance(int one, int other) {
    return one >= other ? covariances.get(one)[other] : covariances.get(other)[one];
  }

  int searchExamples() {
    return search.get(0).length;
  }

  int confirmationExamples() {
    return confirmation.get(0).length;
  }

  double[] search(int row) {
    return search.get(row);
  }

  double[] confirmation(int row) {
    return confirmation.get(row);
  }

  List<MeasuredSubset> listed() {
    List<MeasuredSubset> listed = new ArrayList<>();
    for (int i = 0; i < size(); i++) {
      listed.add(
          new MeasuredSubset(
              purposes.get(i),
              pool.modules(subsets.get(i)),
              means.get(i),
              Statistics.mean(confirmation.get(i))));
    }
    return listed;
  }

  /** Measures those that are not known yet, in one call. */
  void measure(Phase phase, Map<BitSet, Purpose> wanted) {
    Map<BitSet, Purpose> unknown = new LinkedHashMap<>(wanted);
    unknown.keySet().removeIf(this::knows);
    if (unknown.isEmpty()) {
      return;
    }
    if (listener.cancelled()) {
      throw new CancellationException("cancelled after " + size() + " subsets were measured");
    }
    List<BitSet> order = List.copyOf(unknown.keySet());
    float[][] values = measurer.measure(order.stream().map(pool::modules).toList());
    if (values.length != order.size()) {
      throw new IllegalStateException(
          "the measurer must give values of " + order.size() + " subsets, got " + values.length);
    }
    for (int i = 0; i < values.length; i++) {
      add(order.get(i), unknown.get(order.get(i)), values[i]);
    }
    listener.measured(phase, size(), settings.effort().total());
  }

  private void add(BitSet subset, Purpose purpose, float[] values) {
    if (confirms == null) {
      deal(values.length);
    }
    if (values.length != confirms.length) {
      throw new IllegalStateException(
          "the measurer must give values of the same "
              + confirms.length
              + " examples each time, got "
              + values.length);
    }
    int confirming = 0;
    for (boolean one : confirms) {
      confirming += one ? 1 : 0;
    }
    double[] seen = new double[values.length - confirming];
    double[] unseen = new double[confirming];
    int at = 0;
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new ArithmeticException(
            "measurements must be finite, got "
                + values[i]
                + " for example "
                + i
                + " with modules "
                + pool.modules(subset).stream().map(module -> module.name()).toList());
      }
      if (confirms[i]) {
        unseen[i - at] = values[i];
      } else {
        seen[at++] = values[i];
      }
    }
    double mean = Statistics.mean(seen);
    double[] deviation = new double[seen.length];
    for (int i = 0; i < seen.length; i++) {
      deviation[i] = seen[i] - mean;
    }
    rows.put(subset, size());
    subsets.add(subset);
    purposes.add(purpose);
    search.add(seen);
    confirmation.add(unseen);
    means.add(mean);
    deviations.add(deviation);
    double[] covariance = new double[size()];
    for (int i = 0; i < covariance.length; i++) {
      covariance[i] = Statistics.dot(deviation, deviations.get(i)) / (seen.length - 1);
    }
    covariances.add(covariance);
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
