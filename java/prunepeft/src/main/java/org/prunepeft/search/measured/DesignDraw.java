package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Draws subsets from half a budget to one and a half of it, each module as often as any other and
 * pairs of modules as evenly as may be.
 *
 * <p>Modules are dealt from a shuffled deck that holds each of them once, and from another when it
 * is used up. Of several shuffles the one is taken whose hands repeat the fewest pairs.
 */
final class DesignDraw {
  private static final int SHUFFLES = 8;
  private static final double LEAST = 0.5;
  private static final double MOST = 1.5;

  private final Pool pool;
  private final SplittableRandom random;
  private final int[][] together;
  private List<Integer> deck = new ArrayList<>();

  private DesignDraw(Pool pool, SplittableRandom random) {
    this.pool = pool;
    this.random = random;
    together = new int[pool.count()][pool.count()];
  }

  /** At most so many different subsets, none of them excluded; fewer in a small space. */
  static List<BitSet> draw(
      Pool pool, long budget, int count, Set<BitSet> excluded, SplittableRandom random) {
    DesignDraw draw = new DesignDraw(pool, random);
    List<BitSet> subsets = new ArrayList<>();
    Set<BitSet> seen = new HashSet<>(excluded);
    for (int attempt = 0; subsets.size() < count && attempt < 4 * count; attempt++) {
      // A sequence without gaps, so that any beginning of the design has all sizes.
      double at = (0.5 + attempt * 0.6180339887498949) % 1;
      BitSet subset = draw.next(draw.target(budget, at));
      if (seen.add(subset)) {
        subsets.add(subset);
        draw.count(subset);
      }
    }
    return subsets;
  }

  private double target(long budget, double at) {
    // Where the budget is near the whole, not all subsets may be the supernet.
    double most = Math.min(MOST * budget, 0.95 * pool.space().totalParameters());
    double least = Math.min(LEAST * budget, most);
    return least + at * (most - least);
  }

  private BitSet next(double target) {
    BitSet subset = new BitSet();
    double left = target;
    while (true) {
      int number = deal(subset);
      if (number < 0) {
        return subset;
      }
      // Half a module over the target is as near as half a module under it.
      if (pool.size(number) / 2.0 > left && !subset.isEmpty()) {
        deck.add(0, number);
        return subset;
      }
      subset.set(number);
      left -= pool.size(number);
    }
  }

  private int deal(BitSet subset) {
    for (int round = 0; round < 2; round++) {
      for (Iterator<Integer> cards = deck.iterator(); cards.hasNext(); ) {
        int number = cards.next();
        if (!subset.get(number)) {
          cards.remove();
          return number;
        }
      }
      deck.addAll(shuffled(subset));
    }
    return -1;
  }

  private List<Integer> shuffled(BitSet begun) {
    List<Integer> best = List.of();
    long fewest = Long.MAX_VALUE;
    // How many modules are dealt together is not known yet; a typical hand is.
    int hand = Math.max(2, begun.cardinality());
    for (int i = 0; i < SHUFFLES; i++) {
      List<Integer> order = order();
      long repeated = repeated(order, hand);
      if (repeated < fewest) {
        fewest = repeated;
        best = order;
      }
    }
    return best;
  }

  private long repeated(List<Integer> order, int hand) {
    long sum = 0;
    for (int from = 0; from < order.size(); from += hand) {
      int to = Math.min(order.size(), from + hand);
      for (int i = from; i < to; i++) {
        for (int j = i + 1; j < to; j++) {
          sum += together[order.get(i)][order.get(j)];
        }
      }
    }
    return sum;
  }

  private List<Integer> order() {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < pool.count(); i++) {
      order.add(random.nextInt(order.size() + 1), i);
    }
    return order;
  }

  private void count(BitSet subset) {
    int[] members = subset.stream().toArray();
    for (int i : members) {
      for (int j : members) {
        together[i][j]++;
      }
    }
  }
}
