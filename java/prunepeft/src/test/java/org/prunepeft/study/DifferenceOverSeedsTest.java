package org.prunepeft.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.prunepeft.study.DifferenceOverSeeds.Unknown;
import org.prunepeft.study.MethodComparison.Conclusion;
import org.prunepeft.testing.TestSeed;

class DifferenceOverSeedsTest {
  /** Student's own example (Biometrika, 1908): hours of sleep gained by ten patients, two drugs. */
  private static final double[] FIRST = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};

  private static final double[] SECOND = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};

  @Test
  void studentsExampleHasItsPublishedInterval() {
    DifferenceOverSeeds difference = DifferenceOverSeeds.of(FIRST, SECOND);
    assertEquals(10, difference.pairs());
    assertEquals(-1.58, difference.mean(), 1e-12);
    assertEquals(-2.4598858, difference.student().low(), 1e-7);
    assertEquals(-0.7001142, difference.student().high(), 1e-7);
    assertEquals(0.002833, difference.p(), 5e-7);
    assertFalse(difference.student().holdsZero());
    assertTrue(difference.bootstrap().low() > difference.student().low());
    assertTrue(difference.bootstrap().high() < 0);
  }

  @Test
  void theOtherWayRoundEverythingHasTheOtherSign() {
    DifferenceOverSeeds one = DifferenceOverSeeds.of(FIRST, SECOND);
    DifferenceOverSeeds other = DifferenceOverSeeds.of(SECOND, FIRST);
    assertEquals(-one.mean(), other.mean(), 1e-12);
    assertEquals(-one.student().low(), other.student().high(), 1e-12);
    assertEquals(one.p(), other.p(), 1e-12);
  }

  @Test
  void theBootstrapOfThreePairsIsTheirRange() {
    DifferenceOverSeeds difference =
        DifferenceOverSeeds.of(new double[] {1, 4, 9}, new double[] {0, 1, 2});
    assertEquals(1, difference.bootstrap().low(), 1e-12);
    assertEquals(7, difference.bootstrap().high(), 1e-12);
  }

  @Test
  void onePairSaysNothingOfItsSpread() {
    DifferenceOverSeeds difference = DifferenceOverSeeds.of(new double[] {3}, new double[] {1});
    assertEquals(2, difference.mean());
    assertNull(difference.student());
    assertNull(difference.bootstrap());
    assertTrue(Double.isNaN(difference.p()));
  }

  @Test
  void equalValuesAreNoDifferenceAndAnEqualShiftSaysNothingOfItsSpread() {
    double[] values = {1, 2, 3, 4};
    assertEquals(1, DifferenceOverSeeds.of(values, values).p());
    assertTrue(DifferenceOverSeeds.of(values, values).student().holdsZero());
    for (DifferenceOverSeeds shifted :
        List.of(
            DifferenceOverSeeds.of(new double[] {0.85, 0.75}, new double[] {0.84, 0.74}),
            pooled(new double[] {0.5, 0.5}, new double[] {0.25, 0.25}))) {
      assertTrue(shifted.mean() > 0);
      assertNull(shifted.student());
      assertTrue(Double.isNaN(shifted.p()));
    }
  }

  /** Two methods that keep the head alone in each of a few seeds may differ in the next. */
  @Test
  void twoOrThreeSeedsWithoutADifferenceSayNothingOfItsSpread() {
    for (int seeds = 2; seeds <= 4; seeds++) {
      double[] values = new double[seeds];
      Arrays.setAll(values, seed -> seed);
      DifferenceOverSeeds none = DifferenceOverSeeds.of(values, values);
      assertEquals(seeds < 4 ? Unknown.ALL_THE_SAME : null, none.unknown());
      assertEquals(seeds < 4, none.student() == null);
      DifferenceOverSeeds tasks = pooled(new double[seeds], new double[] {1, 3});
      assertEquals(seeds < 4 ? Unknown.GROUP_OF_THE_SAME : null, tasks.unknown());
      assertEquals(seeds < 4, Double.isNaN(tasks.p()));
    }
    assertEquals(Unknown.ONE_PAIR, DifferenceOverSeeds.of(new double[1], new double[1]).unknown());
    assertEquals(
        Unknown.GROUP_OF_ONE_PAIR, pooled(new double[] {1}, new double[] {1, 3}).unknown());
  }

  /** What a seed does to all tasks alike does not cancel over tasks. */
  @Test
  void tasksOfTheSameSeedsHaveTheIntervalOfTheSeedsMeansToo() {
    double[] first = {1, 2, 3};
    double[] second = {1.1, 2, 2.9};
    DifferenceOverSeeds alike = pooled(first, second);
    double[] means = {1.05, 2, 2.95};
    assertEquals(Sample.of(means).interval().low(), alike.bySeed().low(), 1e-12);
    assertTrue(alike.bySeed().holdsZero());
    assertTrue(alike.student().low() > 0);
    DifferenceOverSeeds ofMeans = DifferenceOverSeeds.of(means, new double[3]);
    assertEquals(ofMeans.p(), alike.p(), 1e-12);
    assertEquals(
        Conclusion.NO_DIFFERENCE, new MethodComparison(null, null, alike, 0.01).conclusion());
    // Of other seeds nothing is alike.
    DifferenceOverSeeds apart =
        DifferenceOverSeeds.pooled(List.of(task(0, first), task(3, second)));
    assertNull(apart.bySeed());
    assertEquals(alike.student().low(), apart.student().low(), 1e-12);
    assertTrue(apart.p() < alike.p());
    assertEquals(Conclusion.BETTER, new MethodComparison(null, null, apart, 0.01).conclusion());
    // Where seeds shift tasks in opposite directions their means vary less than by chance.
    DifferenceOverSeeds opposite = pooled(first, new double[] {3.1, 2, 0.9});
    assertTrue(opposite.student().low() < opposite.bySeed().low());
  }

  private static SortedMap<Long, Double> task(long firstSeed, double... differences) {
    SortedMap<Long, Double> task = new TreeMap<>();
    for (double difference : differences) {
      task.put(firstSeed + task.size(), difference);
    }
    return task;
  }

  private static DifferenceOverSeeds pooled(double[] one, double[] other) {
    return DifferenceOverSeeds.pooled(List.of(task(0, one), task(0, other)));
  }

  @Test
  void differencesOfRoundingAloneAreNone() {
    double[] first = {0.1 + 0.2, 0.7, 0.7, 0.1 + 0.2};
    double[] second = {0.3, 0.7 - 1e-16, 0.7, 0.3};
    assertTrue(first[0] != second[0] && first[1] != second[1]);
    double[] plain = new double[4];
    Arrays.setAll(plain, i -> first[i] - second[i]);
    for (DifferenceOverSeeds none :
        List.of(DifferenceOverSeeds.of(first, second), pooled(plain, new double[4]))) {
      assertEquals(0, none.mean());
      assertTrue(none.student().holdsZero());
      assertEquals(1, none.p());
    }
    assertEquals(0, DifferenceOverSeeds.of(new double[] {0.1 + 0.2}, new double[] {0.3}).mean());
  }

  @Test
  void tasksAreAveragedWithSatterthwaitesDegreesOfFreedom() {
    // Variances of the means 1 and 1, so 2 degrees of freedom: t 4.302653, p 1 - t / sqrt(2 + t²).
    DifferenceOverSeeds equal = DifferenceOverSeeds.pooled(List.of(task(0, 1, 3), task(2, 2, 4)));
    assertEquals(2.5, equal.mean(), 1e-12);
    assertEquals(4, equal.pairs());
    assertEquals(2.5 - 4.302653 * Math.sqrt(0.5), equal.student().low(), 1e-6);
    assertEquals(1 - Math.sqrt(12.5 / 14.5), equal.p(), 1e-9);
    // 0 and 1, so 1 degree: t 12.706205.
    DifferenceOverSeeds unequal =
        DifferenceOverSeeds.pooled(List.of(task(0, 0, 0, 0, 0), task(4, 1, 3)));
    assertEquals(1, unequal.mean(), 1e-12);
    assertEquals(1 + 12.706205 * 0.5, unequal.student().high(), 1e-5);
    assertNull(equal.bootstrap());
    assertNull(pooled(new double[] {1, 3}, new double[] {2}).student());
  }

  /** By the spread of {1, 3} alone the interval would be half as wide as it should be. */
  @Test
  void aTaskThatDiffersByTheSameInAllPairsIsNoMoreKnownThanOneOfASinglePair() {
    DifferenceOverSeeds shifted = pooled(new double[] {0.1 + 0.2, 0.3, 0.3}, new double[] {1, 3});
    assertEquals(1.15, shifted.mean(), 1e-12);
    assertEquals(5, shifted.pairs());
    assertNull(shifted.student());
    assertTrue(Double.isNaN(shifted.p()));
  }

  @Test
  void studentsIntervalHoldsTheTrueMeanInAsManyCasesAsItSays() {
    Random random = TestSeed.random();
    int held = 0;
    int trials = 2000;
    for (int trial = 0; trial < trials; trial++) {
      double[] values = random.doubles(4).map(any -> 1 + random.nextGaussian()).toArray();
      Interval interval = Sample.of(values).interval();
      held += interval.low() <= 1 && interval.high() >= 1 ? 1 : 0;
    }
    // Five standard deviations of a share of 0.95.
    assertEquals(0.95, held / (double) trials, 5 * Math.sqrt(0.95 * 0.05 / trials));
  }

  @Test
  void pairsThatAreNotAsManyOnBothSidesAreRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> DifferenceOverSeeds.of(FIRST, Arrays.copyOf(SECOND, 9)));
    assertThrows(IllegalArgumentException.class, () -> DifferenceOverSeeds.pooled(List.of()));
    assertThrows(IllegalArgumentException.class, Sample::of);
  }
}
