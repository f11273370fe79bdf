package org.prunepeft.search.measured;

/**
 * What subsets gave on the same held-out examples, each [subsets][examples], finite, higher is
 * better.
 *
 * @param score what subsets are chosen by: what distinguishes them best on few examples, such as
 *     the log-likelihood of the right answer
 * @param metric what is said of them: its mean over examples is the metric, such as 1 for a correct
 *     answer and 0 for a wrong one; in each call of a search the same array as the score, or in
 *     each another
 */
public record Measurements(float[][] score, float[][] metric) {
  /** {@return measurements where subsets are chosen by the metric itself} */
  public static Measurements of(float[][] metric) {
    return new Measurements(metric, metric);
  }
}
