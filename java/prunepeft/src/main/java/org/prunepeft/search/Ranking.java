package org.prunepeft.search;

import java.util.Arrays;

/** Ranks and rank correlation, with ties. */
final class Ranking {
  private Ranking() {}

  /** The rank of each value from the largest, which has 0; equal values share their mean rank. */
  static double[] descendingMeanRanks(double[] values) {
    double[] ranks = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      int before = 0;
      int equal = 0;
      for (double other : values) {
        if (other > values[i]) {
          before++;
        } else if (other == values[i]) {
          equal++;
        }
      }
      ranks[i] = before + (equal - 1) / 2.0;
    }
    return ranks;
  }

  /**
   * Spearman's rank correlation, with mean ranks for ties; 0 if all values on one side are equal,
   * since they then order nothing.
   */
  static double spearman(double[] a, double[] b) {
    double[] x = descendingMeanRanks(a);
    double[] y = descendingMeanRanks(b);
    // Ranks with ties shared sum to the same as without: their mean is known exactly.
    double mean = (a.length - 1) / 2.0;
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (int i = 0; i < x.length; i++) {
      xx += (x[i] - mean) * (x[i] - mean);
      yy += (y[i] - mean) * (y[i] - mean);
      xy += (x[i] - mean) * (y[i] - mean);
    }
    return xx == 0 || yy == 0 ? 0 : xy / Math.sqrt(xx * yy);
  }

  static double max(double[] values) {
    return Arrays.stream(values).max().orElseThrow();
  }

  static double min(double[] values) {
    return Arrays.stream(values).min().orElseThrow();
  }
}
