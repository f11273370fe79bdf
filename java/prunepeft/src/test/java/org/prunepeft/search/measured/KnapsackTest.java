package org.prunepeft.search.measured;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.testing.TestSeed;

class KnapsackTest {
  private static final int COUNT = 9;

  private static SearchSpace space(Random random) {
    return new SearchSpace(
        COUNT,
        IntStream.range(0, COUNT)
            .mapToObj(i -> new Candidate("m" + i, i, "lora", 1 + random.nextInt(5)))
            .toList());
  }

  private static double value(Pool pool, double[] values, List<Candidate> modules) {
    return pool.bits(modules).stream().mapToDouble(i -> values[i]).sum();
  }

  @Test
  void noSubsetOfTheBudgetIsWorthMore() {
    Random random = TestSeed.random();
    for (int draw = 0; draw < 50; draw++) {
      SearchSpace space = space(random);
      Pool pool = new Pool(space);
      double[] values = random.doubles(COUNT, -1, 2).toArray();
      long budget = 1 + random.nextInt((int) space.totalParameters());
      double most = 0;
      for (int bits = 0; bits < 1 << COUNT; bits++) {
        List<Candidate> subset = pool.modules(BitSet.valueOf(new long[] {bits}));
        if (Candidate.total(subset) <= budget) {
          most = Math.max(most, value(pool, values, subset));
        }
      }
      List<Candidate> best = Knapsack.best(space, values, budget);
      assertTrue(Candidate.total(best) <= budget);
      assertEquals(most, value(pool, values, best), 1e-12);
    }
  }

  @Test
  void whereAllDoHarmNoneIsTaken() {
    SearchSpace space = space(TestSeed.random());
    double[] harm = TestSeed.random().doubles(COUNT, -1, 0).toArray();
    assertEquals(List.of(), Knapsack.best(space, harm, space.totalParameters()));
    assertThrows(IllegalArgumentException.class, () -> Knapsack.best(space, new double[2], 9));
  }
}
