package org.prunepeft.train;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;

/**
 * The 95 % interval of a value over examples that are drawn anew, with replacement; always the same
 * draws.
 *
 * @param low the 2.5 % quantile over the draws
 * @param high the 97.5 % quantile
 */
public record Bootstrap(double low, double high) {
  /** How many there are if nothing else is said. */
  public static final int DRAWS = 1000;

  private static final double TAIL = 0.025;

  /**
   * {@return the interval}
   *
   * @param examples how many there are, 1 or more
   * @param value of the examples with these indices
   */
  public static Bootstrap of(int examples, ToDoubleFunction<int[]> value) {
    return of(examples, DRAWS, value);
  }

  /**
   * {@return the interval}
   *
   * @param examples how many there are, 1 or more
   * @param draws how many, 1 or more
   * @param value of the examples with these indices
   */
  static Bootstrap of(int examples, int draws, ToDoubleFunction<int[]> value) {
    SplittableRandom random = new SplittableRandom(0);
    double[] values = new double[draws];
    for (int draw = 0; draw < draws; draw++) {
      values[draw] = value.applyAsDouble(random.ints(examples, 0, examples).toArray());
    }
    Arrays.sort(values);
    return new Bootstrap(
        values[(int) Math.floor(TAIL * (draws - 1))],
        values[(int) Math.ceil((1 - TAIL) * (draws - 1))]);
  }

  /** {@return the elements with these indices} */
  static double[] drawn(double[] from, int[] indices) {
    return Arrays.stream(indices).mapToDouble(i -> from[i]).toArray();
  }
}
