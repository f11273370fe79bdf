package org.prunepeft.search;

/**
 * Sums over all weights w of one module and their gradients g, from which criteria are computed. g
 * is the gradient summed over the steps of a training; absolute values are taken after that sum.
 *
 * @param count n, the number of weights
 * @param sumW2 Σ w²
 * @param sumAbsW Σ |w|
 * @param nonZero how many weights are not 0 once rounded to the dtype that the run names
 * @param below how many weights have |w| under the threshold of the module's type
 * @param sumG2 Σ g²
 * @param sumAbsG Σ |g|
 * @param sumWg Σ w·g
 * @param sumAbsWg Σ |w·g|
 * @param sumWg2 Σ (w·g)²
 * @param meanAbsOutput mean of |f| over the elements of the module's output f at real tokens
 */
public record ModuleStatistics(
    long count,
    double sumW2,
    double sumAbsW,
    double nonZero,
    double below,
    double sumG2,
    double sumAbsG,
    double sumWg,
    double sumAbsWg,
    double sumWg2,
    double meanAbsOutput) {
  /**
   * {@return the statistics of a module}
   *
   * @param sums all components but the last, in their order, which is the kernels'
   * @param meanAbsOutput of its output
   */
  public static ModuleStatistics of(double[] sums, double meanAbsOutput) {
    return new ModuleStatistics(
        (long) sums[0],
        sums[1],
        sums[2],
        sums[3],
        sums[4],
        sums[5],
        sums[6],
        sums[7],
        sums[8],
        sums[9],
        meanAbsOutput);
  }

  /** {@return whether no sum is NaN or infinite} */
  public boolean isFinite() {
    // Squares are sums of terms that are 0 or more: they do not cancel.
    return Double.isFinite(sumW2 + sumG2 + sumWg2 + sumAbsW + sumAbsG + sumAbsWg)
        && Double.isFinite(sumWg)
        && Double.isFinite(nonZero + below + meanAbsOutput);
  }
}
