package org.prunepeft.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.prunepeft.data.Metric;

class MetricsTest {
  private static final double EXACT = 1e-12;

  private static final int[] GOLD = {0, 0, 0, 1, 1, 2};
  private static final int[] PREDICTED = {0, 0, 1, 1, 2, 2};

  @Test
  void accuracyIsTheShareOfRightPredictions() {
    assertEquals(4.0 / 6, Metrics.accuracy(GOLD, PREDICTED), EXACT);
  }

  @Test
  void macroF1IsTheMeanOfTheClassesF1() {
    // Class 0: 2·2/(3+2), class 1: 2·1/(2+2), class 2: 2·1/(1+2).
    assertEquals((0.8 + 0.5 + 2.0 / 3) / 3, Metrics.macroF1(GOLD, PREDICTED), EXACT);
  }

  @Test
  void macroF1IsOverClassesInGoldOrPredictions() {
    assertEquals(1, Metrics.macroF1(new int[] {2, 7}, new int[] {2, 7}), EXACT);
    // Class 5 is only predicted, class 3 only in gold; both count with 0.
    assertEquals(1.0 / 3, Metrics.macroF1(new int[] {3, 7}, new int[] {5, 7}), EXACT);
  }

  @Test
  void matthewsOfTwoClassesIsThePhiCoefficient() {
    // TP 3, TN 2, FP 1, FN 2.
    int[] gold = {1, 1, 1, 1, 1, 0, 0, 0};
    int[] predicted = {1, 1, 1, 0, 0, 1, 0, 0};
    assertEquals(
        (3 * 2 - 1 * 2) / Math.sqrt(4 * 5 * 3 * 4), Metrics.matthews(gold, predicted), EXACT);
  }

  @Test
  void matthewsOfThreeClasses() {
    // c·s = 24, Σ pₖ·tₖ = 2·3 + 2·2 + 2·1 = 12, Σ pₖ² = 12, Σ tₖ² = 14, s² = 36.
    assertEquals(12 / Math.sqrt(24 * 22), Metrics.matthews(GOLD, PREDICTED), EXACT);
  }

  @Test
  void matthewsIsOneIfAllIsRightAndZeroIfOnlyOneClassIsPredicted() {
    assertEquals(1, Metrics.matthews(GOLD, GOLD), EXACT);
    assertEquals(0, Metrics.matthews(GOLD, new int[6]), EXACT);
  }

  @Test
  void matthewsDoesNotOverflow() {
    int n = 300_000;
    int[] classes = new int[n];
    for (int i = 0; i < n; i++) {
      classes[i] = i & 1;
    }
    assertEquals(1, Metrics.matthews(classes, classes), EXACT);
  }

  @Test
  void pearsonByHand() {
    // Deviations −1 0 1 and −2 1 1: covariance 3, variances 2 and 6.
    double[] x = {1, 2, 3};
    double[] y = {1, 4, 4};
    assertEquals(3 / Math.sqrt(12), Metrics.pearson(x, y), EXACT);
    assertEquals(-1, Metrics.pearson(x, new double[] {5, 3, 1}), EXACT);
    assertEquals(0, Metrics.pearson(x, new double[] {5, 5, 5}), EXACT);
    // Their means are not 0.1 and 0.7 in float64.
    assertEquals(
        0, Metrics.pearson(new double[] {0.1, 0.1, 0.1}, new double[] {0.7, 0.7, 0.7}), EXACT);
  }

  @Test
  void spearmanIsPearsonOfMeanRanks() {
    assertEquals(1, Metrics.spearman(new double[] {3, 1, 2}, new double[] {1000, 0.1, 7}), EXACT);
    // Ranks 0 1.5 1.5 3 and 0 1 2 3: covariance 4.5, variances 4.5 and 5.
    assertEquals(
        4.5 / Math.sqrt(22.5),
        Metrics.spearman(new double[] {1, 2, 2, 9}, new double[] {1, 2, 3, 4}),
        EXACT);
  }

  @Test
  void emptyOrUnequalArraysAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> Metrics.accuracy(new int[0], new int[0]));
    assertThrows(IllegalArgumentException.class, () -> Metrics.macroF1(new int[2], new int[3]));
    assertThrows(IllegalArgumentException.class, () -> Metrics.matthews(new int[2], new int[3]));
    assertThrows(
        IllegalArgumentException.class, () -> Metrics.spearman(new double[1], new double[2]));
  }

  @Test
  void aDifferenceOfLogLikelihoodsHasNoPerplexity() {
    assertEquals("-0.0213", Metric.LOG_LIKELIHOOD.formatDifference(-0.02134));
    assertEquals("1.25 %", Metric.ACCURACY.formatDifference(0.0125));
    assertEquals("0.0125", Metric.PEARSON.formatDifference(0.0125));
  }
}
