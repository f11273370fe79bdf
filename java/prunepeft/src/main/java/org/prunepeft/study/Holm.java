package org.prunepeft.study;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Holm's correction for several comparisons (Scandinavian Journal of Statistics, 1979): where all
 * those are called differences whose corrected value is below 5 %, the probability that one of them
 * or more is none is below 5 %.
 */
public final class Holm {
  private Holm() {}

  /**
   * {@return the corrected values, in the same order}
   *
   * @param p of each comparison, in [0, 1]; one that is NaN is not tested: it stays so and does not
   *     count
   */
  public static double[] adjusted(double... p) {
    double[] adjusted = p.clone();
    List<Integer> order =
        IntStream.range(0, p.length)
            .filter(i -> !Double.isNaN(p[i]))
            .boxed()
            .sorted(Comparator.comparingDouble(i -> p[i]))
            .toList();
    double largest = 0;
    for (int rank = 0; rank < order.size(); rank++) {
      int i = order.get(rank);
      largest = Math.max(largest, Math.min(1, p[i] * (order.size() - rank)));
      adjusted[i] = largest;
    }
    return adjusted;
  }
}
