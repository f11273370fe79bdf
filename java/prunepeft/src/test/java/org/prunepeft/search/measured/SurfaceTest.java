package org.prunepeft.search.measured;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Terms.ModulePair;
import org.prunepeft.testing.TestSeed;

class SurfaceTest {
  private static final int MODULES = 12;
  private static final int BUDGET = 40;

  @Test
  void noLocalSearchFindsABetterSubsetThanTheBest() {
    Random random = TestSeed.random();
    Pool pool =
        new Pool(
            new SearchSpace(
                MODULES,
                IntStream.range(0, MODULES)
                    .mapToObj(i -> new Candidate("m" + i, i, "lora", 10))
                    .toList()));
    for (int draw = 0; draw < 200; draw++) {
      double[] values = random.doubles(MODULES, 2, 3).toArray();
      List<ModulePair> pairs = new ArrayList<>();
      for (int first = 0; first < MODULES; first++) {
        for (int second = first + 1; second < MODULES; second++) {
          if (random.nextInt(4) == 0) {
            pairs.add(new ModulePair(first, second));
          }
        }
      }
      double[] joint = random.doubles(pairs.size(), -1, 1).toArray();
      Surface surface = new Surface(pool, values, pairs, joint, 0, 0);
      double best = surface.value(surface.best(pool.all(), BUDGET));
      List<BitSet> frontier = surface.frontier(pool.all(), BUDGET);
      // The subsets by single values: none and those of one to four modules, of which the search
      // begins with these.
      List<BitSet> filled = frontier.subList(frontier.size() - 5, frontier.size());
      for (int begin : new int[] {0, 1, 2, 4}) {
        double other = surface.value(surface.improve(filled.get(begin), pool.all(), BUDGET));
        assertTrue(best >= other - 1e-12, () -> best + " < " + other);
      }
    }
  }
}
