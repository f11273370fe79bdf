package org.prunepeft.study;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

class HolmTest {
  @Test
  void smallestIsMultipliedByTheNumberOfComparisonsTheNextByOneLess() {
    // 4 · 0.005, 3 · 0.01, 2 · 0.03, and 0.04, which can't be below the one before it.
    assertArrayEquals(
        new double[] {0.03, 0.06, 0.06, 0.02}, Holm.adjusted(0.01, 0.04, 0.03, 0.005), 1e-12);
  }

  @Test
  void aProbabilityIsAtMostOne() {
    assertArrayEquals(new double[] {1, 1}, Holm.adjusted(0.6, 0.9), 1e-12);
  }

  @Test
  void oneComparisonStaysAsItIs() {
    assertArrayEquals(new double[] {0.04}, Holm.adjusted(0.04), 0);
  }

  @Test
  void whatIsNotTestedDoesNotCount() {
    assertArrayEquals(
        new double[] {Double.NaN, 0.02, 0.03}, Holm.adjusted(Double.NaN, 0.01, 0.03), 1e-12);
  }
}
