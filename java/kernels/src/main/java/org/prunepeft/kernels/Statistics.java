package org.prunepeft.kernels;

/**
 * What one pass over a module's n weights w and gradients g gives.
 *
 * @param count n
 * @param sumW2 Σ w²
 * @param sumAbsW Σ |w|
 * @param nonZero how many weights are not 0 once rounded to the type that the call named
 * @param below how many |w| lie below the group's threshold
 * @param sumG2 Σ g²
 * @param sumAbsG Σ |g|
 * @param sumWg Σ w·g
 * @param sumAbsWg Σ |w·g|
 * @param sumWg2 Σ (w·g)²
 */
public record Statistics(
    double count,
    double sumW2,
    double sumAbsW,
    double nonZero,
    double below,
    double sumG2,
    double sumAbsG,
    double sumWg,
    double sumAbsWg,
    double sumWg2) {

  static Statistics row(double[] table, int module, int columns) {
    int i = module * columns;
    return new Statistics(
        table[i],
        table[i + 1],
        table[i + 2],
        table[i + 3],
        table[i + 4],
        table[i + 5],
        table[i + 6],
        table[i + 7],
        table[i + 8],
        table[i + 9]);
  }
}
