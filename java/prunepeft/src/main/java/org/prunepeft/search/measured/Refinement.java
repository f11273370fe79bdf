package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.hipparchus.distribution.continuous.NormalDistribution;

/**
 * Which subsets of the budget to measure next: those that are the best of a metric that may be the
 * true one (Thompson, 1933), and those that promise to improve most on the best so far, among its
 * neighbours by single modules.
 */
final class Refinement {
  private static final int DRAWS = 4;
  private static final int NEIGHBOURS = 80;
  private static final NormalDistribution NORMAL = new NormalDistribution();

  private final Pool pool;
  private final Archive archive;
  private final long budget;

  Refinement(Pool pool, Archive archive, long budget) {
    this.pool = pool;
    this.archive = archive;
    this.budget = budget;
  }

  private record Promise(BitSet subset, double improvement) {}

  /** At most so many subsets, none of them measured. */
  List<BitSet> next(MetricModel model, int count, SplittableRandom random) {
    BitSet all = pool.all();
    Set<BitSet> chosen = new LinkedHashSet<>();
    Surface surface = model.surface();
    BitSet expected = surface.best(all, budget);
    offer(expected, chosen);
    int drawn = (count + 1) / 2;
    Set<BitSet> promising = new LinkedHashSet<>();
    for (int i = 0; i < DRAWS * count && chosen.size() < drawn; i++) {
      BitSet subset = model.draw(random).best(all, budget);
      offer(subset, chosen);
    }
    BitSet best = best(model);
    promising.addAll(neighbours(best, surface));
    promising.addAll(neighbours(expected, surface));
    promising.removeIf(subset -> archive.knows(subset) || chosen.contains(subset));
    double mean = model.expected(best);
    List<Promise> promises = new ArrayList<>();
    for (BitSet subset : promising) {
      double gain = model.predict(subset) - mean;
      promises.add(
          new Promise(subset, improvement(gain, Math.sqrt(model.varianceToBest(subset, best)))));
    }
    // A stable sort: where promises are equal the order of the neighbours decides.
    promises.sort(Comparator.comparingDouble(Promise::improvement).reversed());
    for (Promise promise : promises) {
      if (chosen.size() >= count) {
        break;
      }
      chosen.add(promise.subset);
    }
    return List.copyOf(chosen);
  }

  private void offer(BitSet subset, Set<BitSet> chosen) {
    if (!archive.knows(subset)) {
      chosen.add(subset);
    }
  }

  /** The subset of the budget with the highest expected metric among those that were measured. */
  BitSet best(MetricModel model) {
    BitSet best = null;
    double highest = Double.NEGATIVE_INFINITY;
    for (int row = 0; row < archive.size(); row++) {
      BitSet subset = archive.subset(row);
      if (pool.size(subset) <= budget && !subset.isEmpty()) {
        double mean = model.expected(subset);
        if (mean > highest) {
          highest = mean;
          best = subset;
        }
      }
    }
    return best;
  }

  /** Those by one module more, less or other, the best by the surface. */
  private List<BitSet> neighbours(BitSet subset, Surface surface) {
    List<Promise> all = new ArrayList<>();
    long size = pool.size(subset);
    for (int in = -1; in < pool.count(); in++) {
      if (in >= 0 && subset.get(in)) {
        continue;
      }
      for (int out = -1; out < pool.count(); out++) {
        if (out >= 0 ? !subset.get(out) : in < 0) {
          continue;
        }
        long changed = size + (in < 0 ? 0 : pool.size(in)) - (out < 0 ? 0 : pool.size(out));
        if (changed > budget) {
          continue;
        }
        BitSet neighbour = (BitSet) subset.clone();
        if (in >= 0) {
          neighbour.set(in);
        }
        if (out >= 0) {
          neighbour.clear(out);
        }
        if (!neighbour.isEmpty()) {
          all.add(new Promise(neighbour, surface.value(neighbour)));
        }
      }
    }
    all.sort(Comparator.comparingDouble(Promise::improvement).reversed());
    return all.stream().limit(NEIGHBOURS).map(Promise::subset).toList();
  }

  private static double improvement(double gain, double deviation) {
    if (!(deviation > 0)) {
      return Math.max(0, gain);
    }
    double z = gain / deviation;
    return gain * NORMAL.cumulativeProbability(z) + deviation * NORMAL.density(z);
  }
}
