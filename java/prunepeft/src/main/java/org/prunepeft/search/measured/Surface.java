package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import org.prunepeft.search.measured.Terms.ModulePair;

/**
 * The metric as a function of the subset, up to a constant.
 *
 * @param pool numbers the modules: a subset's bit i stands for its module i
 * @param values of each module, where no pair is complete
 * @param pairs of modules that are worth more or less together
 * @param joint what each pair adds where it is complete
 * @param curve weighs the square of the distance from a size
 * @param centre that size, as a share of the supernet
 */
record Surface(
    Pool pool,
    double[] values,
    List<ModulePair> pairs,
    double[] joint,
    double curve,
    double centre) {
  private static final int MOST_MOVES = 500;

  double value(BitSet subset) {
    double sum = subset.stream().mapToDouble(number -> values[number]).sum();
    for (int k = 0; k < joint.length; k++) {
      if (subset.get(pairs.get(k).first()) && subset.get(pairs.get(k).second())) {
        sum += joint[k];
      }
    }
    return sum + curve(pool.size(subset));
  }

  private double curve(long size) {
    double off = (double) size / pool.space().totalParameters() - centre;
    return curve * off * off;
  }

  /** The best subset within a budget among some modules: exact without pairs, else near-best. */
  BitSet best(BitSet allowed, long budget) {
    return frontier(allowed, budget).stream()
        .max(Comparator.comparingDouble(this::value))
        .orElseThrow();
  }

  /** Good subsets of many sizes within a budget, the best that is found among them. */
  List<BitSet> frontier(BitSet allowed, long budget) {
    List<Knapsack.Filling> fillings = Knapsack.frontier(marginal(allowed), pool, allowed, budget);
    if (joint.length == 0) {
      return fillings.stream().map(Knapsack.Filling::modules).toList();
    }
    // With pairs a local search mends what sums of single values got wrong, from a few sizes.
    List<BitSet> all = new ArrayList<>();
    int starts = Math.min(4, fillings.size());
    for (int i = 1; i <= starts; i++) {
      BitSet start = fillings.get((int) ((long) i * fillings.size() / starts) - 1).modules();
      all.add(improve(start, allowed, budget));
    }
    fillings.forEach(filling -> all.add(filling.modules()));
    return all;
  }

  /** Values with each pair shared out between its two, as if the other were there half the time. */
  private double[] marginal(BitSet allowed) {
    double[] marginal = values.clone();
    for (int k = 0; k < joint.length; k++) {
      ModulePair pair = pairs.get(k);
      if (allowed.get(pair.first()) && allowed.get(pair.second())) {
        marginal[pair.first()] += joint[k] / 2;
        marginal[pair.second()] += joint[k] / 2;
      }
    }
    return marginal;
  }

  /** Adds, drops and swaps single modules, the best such move each time, until none helps. */
  BitSet improve(BitSet start, BitSet allowed, long budget) {
    BitSet subset = (BitSet) start.clone();
    for (int moves = 0; moves < MOST_MOVES; moves++) {
      long size = pool.size(subset);
      double[] gains = gains(subset);
      double best = 1e-12;
      int bestIn = -1;
      int bestOut = -1;
      for (int in = -1; in < pool.count(); in++) {
        if (in >= 0 && (subset.get(in) || !allowed.get(in))) {
          continue;
        }
        long grown = size + (in < 0 ? 0 : pool.size(in));
        for (int out = -1; out < pool.count(); out++) {
          if (out >= 0 ? !subset.get(out) : in < 0) {
            continue;
          }
          long changed = grown - (out < 0 ? 0 : pool.size(out));
          if (changed > budget) {
            continue;
          }
          double gain =
              (in < 0 ? 0 : gains[in])
                  - (out < 0 ? 0 : gains[out])
                  + curve(changed)
                  - curve(size)
                  - (in < 0 || out < 0 ? 0 : together(in, out));
          if (gain > best) {
            best = gain;
            bestIn = in;
            bestOut = out;
          }
        }
      }
      if (bestIn < 0 && bestOut < 0) {
        return subset;
      }
      if (bestIn >= 0) {
        subset.set(bestIn);
      }
      if (bestOut >= 0) {
        subset.clear(bestOut);
      }
    }
    return subset;
  }

  /** What each module adds, or would add, beside the others of a subset. */
  private double[] gains(BitSet subset) {
    double[] gains = values.clone();
    for (int k = 0; k < joint.length; k++) {
      ModulePair pair = pairs.get(k);
      gains[pair.first()] += subset.get(pair.second()) ? joint[k] : 0;
      gains[pair.second()] += subset.get(pair.first()) ? joint[k] : 0;
    }
    return gains;
  }

  private double together(int one, int other) {
    for (int k = 0; k < joint.length; k++) {
      ModulePair pair = pairs.get(k);
      if (pair.first() == Math.min(one, other) && pair.second() == Math.max(one, other)) {
        return joint[k];
      }
    }
    return 0;
  }
}
