package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.Locale;
import java.util.function.IntToDoubleFunction;
import java.util.function.Supplier;
import java.util.function.ToDoubleBiFunction;

/**
 * How far rounding may take a result, for tests that compare numbers that were drawn. A limit is
 * made of a type's unit roundoff, of how many roundings a term passes, and of the magnitudes that
 * are summed (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002, sections 2.2
 * and 3.1). Where {@link Repeat} runs tests, what came nearest to its limit stands in the log.
 */
public final class Rounding {
  /** Unit roundoffs: half the distance from 1 to the next number of the type. */
  public static final double FLOAT64 = 0x1p-53;

  public static final double FLOAT32 = 0x1p-24;
  public static final double FLOAT16 = 0x1p-11;
  public static final double BFLOAT16 = 0x1p-8;

  private static final double LAMBDA = 8;
  private static final int DRAWS = 4;

  private Rounding() {}

  /**
   * γₙ = n u / (1 - n u): the relative error of n roundings one after the other; and, of the sum of
   * magnitudes, the error of a sum of n products in any order.
   *
   * @throws IllegalArgumentException if n u is not below 1, where there is no such limit
   */
  public static double gamma(double roundings, double roundoff) {
    double nu = roundings * roundoff;
    if (!(nu < 1)) {
      throw new IllegalArgumentException(
          "the roundings must be less than %s, got %s".formatted(1 / roundoff, roundings));
    }
    return nu / (1 - nu);
  }

  /**
   * The same for roundings that are independent and up as often as down: λ √n u in place of n u,
   * with λ = 8 beyond which the sum of n errors is with probability 2 exp(-λ²/2), 3·10⁻¹⁴ (Higham
   * and Mary, A new approach to probabilistic rounding error analysis, SIAM Journal on Scientific
   * Computing 41, 2019). Never more than {@link #gamma}. It is for norms, for the largest of many
   * elements, and where a worst case would hide a defect.
   */
  public static double likely(double roundings, double roundoff) {
    return gamma(Math.min(roundings, LAMBDA * Math.sqrt(roundings)), roundoff);
  }

  /**
   * How far results move at most, by their largest difference, in some draws of what they follow
   * from, each off as far as rounding may take it: for what goes through many layers, whose bound
   * depends on the numbers.
   *
   * @param off draws anew at each call
   */
  public static double moved(float[] expected, Supplier<float[]> off) {
    return moved(expected, off, Rounding::largestDifference);
  }

  /** The same by another measure of a difference, as {@link #distance} is. */
  public static double moved(
      float[] expected, Supplier<float[]> off, ToDoubleBiFunction<float[], float[]> difference) {
    double moved = 0;
    for (int i = 0; i < DRAWS; i++) {
      moved = Math.max(moved, difference.applyAsDouble(expected, off.get()));
    }
    return moved;
  }

  /** The largest magnitude; 0 of none. */
  public static double largest(float[] values) {
    double largest = 0;
    for (float value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  /** The largest |a - b|, NaN if one is. */
  public static double largestDifference(float[] a, float[] b) {
    assertEquals(a.length, b.length, "values");
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs((double) a[i] - b[i]));
    }
    return largest;
  }

  /** ‖a‖. */
  public static double norm(float[] a) {
    return distance(a, new float[a.length]);
  }

  /** ‖a - b‖. */
  public static double distance(float[] a, float[] b) {
    return norm(a.length, b.length, i -> (double) a[i] - b[i]);
  }

  /** ‖a - b‖. */
  public static double distance(double[] a, float[] b) {
    return norm(a.length, b.length, i -> a[i] - b[i]);
  }

  private static double norm(int length, int other, IntToDoubleFunction difference) {
    assertEquals(length, other, "values");
    double squares = 0;
    for (int i = 0; i < length; i++) {
      squares += Math.pow(difference.applyAsDouble(i), 2);
    }
    return Math.sqrt(squares);
  }

  /**
   * Checks an error, of which NaN is one too; an error of 0 is within any limit, also of 0, any
   * other in none that is infinite.
   */
  public static void assertAtMost(double limit, double error, String what) {
    if (error == 0 && limit >= 0) {
      return;
    }
    TestSeed.nearTo(error / limit, what);
    if (!(error <= limit) || limit == Double.POSITIVE_INFINITY) {
      fail(
          String.format(
              Locale.ROOT, "%s: off by %.3g, by rounding %.3g at most", what, error, limit));
    }
  }

  /** Checks a number; of an expected infinity or NaN, that it is the same. */
  public static void assertNear(double expected, double actual, double limit, String what) {
    if (Double.compare(expected, actual) != 0) {
      assertAtMost(
          limit,
          Math.abs(actual - expected),
          what + ", expected " + expected + ", got " + actual + ",");
    }
  }

  /** Checks each element. */
  public static void assertNear(float[] expected, float[] actual, double limit, String what) {
    assertEquals(expected.length, actual.length, () -> what + ": values");
    assertNear(expected.length, i -> expected[i], i -> actual[i], limit, what);
  }

  /** Checks each element. */
  public static void assertNear(double[] expected, double[] actual, double limit, String what) {
    assertEquals(expected.length, actual.length, () -> what + ": values");
    assertNear(expected.length, i -> expected[i], i -> actual[i], limit, what);
  }

  /** Checks each element. */
  public static void assertNear(double[] expected, float[] actual, double limit, String what) {
    assertEquals(expected.length, actual.length, () -> what + ": values");
    assertNear(expected.length, i -> expected[i], i -> actual[i], limit, what);
  }

  private static void assertNear(
      int length,
      IntToDoubleFunction expected,
      IntToDoubleFunction actual,
      double limit,
      String what) {
    int worst = 0;
    double largest = -1;
    for (int i = 0; i < length; i++) {
      double a = expected.applyAsDouble(i);
      double b = actual.applyAsDouble(i);
      double error = Double.compare(a, b) == 0 ? 0 : Math.abs(a - b);
      if (!(error <= largest)) {
        worst = i;
        largest = error;
      }
      if (Double.isNaN(error)) {
        break;
      }
    }
    if (length > 0) {
      String place = what + "[" + worst + "]";
      assertNear(expected.applyAsDouble(worst), actual.applyAsDouble(worst), limit, place);
    }
  }
}
