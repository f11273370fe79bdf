package org.prunepeft.search;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/** Ranks and rank correlation, with ties. */
public final class Ranking {
  private Ranking() {}

  /** {@return the rank of each value from the smallest, which has 0; ties share their mean rank} */
  public static double[] ascendingMeanRanks(double[] values) {
    int[] order =
        IntStream.range(0, values.length)
            .boxed()
            .sorted(Comparator.comparingDouble(i -> values[i]))
            .mapToInt(Integer::intValue)
            .toArray();
    double[] ranks = new double[values.length];
    int first = 0;
    while (first < order.length) {
      int end = first + 1;
      while (end < order.length && values[order[end]] == values[order[first]]) {
        end++;
      }
      for (int i = first; i < end; i++) {
        ranks[order[i]] = (first + end - 1) / 2.0;
      }
      first = end;
    }
    return ranks;
  }

  /** {@return the rank of each value from the largest, which has 0; ties share their mean rank} */
  public static double[] descendingMeanRanks(double[] values) {
    return Arrays.stream(ascendingMeanRanks(values))
        .map(rank -> values.length - 1 - rank)
        .toArray();
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
