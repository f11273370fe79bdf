package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * What the metric of a subset is a weighted sum of: one number for each module, for each pair that
 * is looked at, and one for how the gain falls off with size. All have mean zero over the subsets
 * that were fitted.
 */
final class Terms {
  /**
   * Two modules by number.
   *
   * @param first the lower
   * @param second the higher
   */
  record ModulePair(int first, int second) {}

  private final Pool pool;
  private final double[] presence;
  private final double size;
  private final List<ModulePair> pairs = new ArrayList<>();
  private final List<Double> pairMeans = new ArrayList<>();
  private boolean curved;
  private double curveMean;
  private final List<BitSet> fitted;

  Terms(Pool pool, List<BitSet> fitted) {
    this.pool = pool;
    this.fitted = fitted;
    presence = new double[pool.count()];
    double sum = 0;
    for (BitSet subset : fitted) {
      subset.stream().forEach(number -> presence[number] += 1.0 / fitted.size());
      sum += share(subset);
    }
    size = sum / fitted.size();
  }

  private double share(BitSet subset) {
    return (double) pool.size(subset) / pool.space().totalParameters();
  }

  int count() {
    return presence.length + pairs.size() + (curved ? 1 : 0);
  }

  List<ModulePair> pairs() {
    return pairs;
  }

  boolean curved() {
    return curved;
  }

  void add(ModulePair pair) {
    pairs.add(pair);
    pairMeans.add(mean(column(pair)));
  }

  void addCurve() {
    curved = true;
    curveMean = mean(rawCurve());
  }

  /** The centred column of a pair over the subsets that were fitted. */
  double[] centred(ModulePair pair) {
    return centre(column(pair));
  }

  double[] centredCurve() {
    return centre(rawCurve());
  }

  private double[] column(ModulePair pair) {
    double[] column = new double[fitted.size()];
    for (int s = 0; s < column.length; s++) {
      column[s] = product(fitted.get(s), pair);
    }
    return column;
  }

  private double[] rawCurve() {
    return fitted.stream().mapToDouble(this::curve).toArray();
  }

  private double product(BitSet subset, ModulePair pair) {
    return ((subset.get(pair.first) ? 1 : 0) - presence[pair.first])
        * ((subset.get(pair.second) ? 1 : 0) - presence[pair.second]);
  }

  private double curve(BitSet subset) {
    double off = share(subset) - size;
    return off * off;
  }

  private static double mean(double[] column) {
    return Statistics.mean(column);
  }

  private static double[] centre(double[] column) {
    double mean = mean(column);
    for (int s = 0; s < column.length; s++) {
      column[s] -= mean;
    }
    return column;
  }

  /** The terms of a subset: modules, pairs, curve. */
  double[] of(BitSet subset) {
    double[] terms = new double[count()];
    for (int i = 0; i < presence.length; i++) {
      terms[i] = (subset.get(i) ? 1 : 0) - presence[i];
    }
    for (int k = 0; k < pairs.size(); k++) {
      terms[presence.length + k] = product(subset, pairs.get(k)) - pairMeans.get(k);
    }
    if (curved) {
      terms[terms.length - 1] = curve(subset) - curveMean;
    }
    return terms;
  }

  /** The sum with these weights, up to a constant, as a function that is quick to maximise. */
  Surface surface(double[] weights) {
    double[] values = Arrays.copyOf(weights, presence.length);
    double[] joint = new double[pairs.size()];
    for (int k = 0; k < joint.length; k++) {
      ModulePair pair = pairs.get(k);
      joint[k] = weights[presence.length + k];
      values[pair.first] -= joint[k] * presence[pair.second];
      values[pair.second] -= joint[k] * presence[pair.first];
    }
    double curve = curved ? weights[weights.length - 1] : 0;
    return new Surface(pool, values, List.copyOf(pairs), joint, curve, size);
  }
}
