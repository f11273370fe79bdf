package org.prunepeft.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.testing.Rounding.assertAtMost;
import static org.prunepeft.testing.Rounding.assertNear;
import static org.prunepeft.testing.Rounding.gamma;
import static org.prunepeft.testing.Rounding.likely;

import java.util.Random;
import org.junit.jupiter.api.Test;

class RoundingTest {
  @Test
  void sumsOfProductsAreWithinGammaOfTheirMagnitudes() {
    Random random = TestSeed.random();
    for (int n : new int[] {1, 2, 30, 1000}) {
      float sum = 0;
      double exact = 0;
      double magnitudes = 0;
      for (int i = 0; i < n; i++) {
        float a = random.nextFloat() - 0.5f;
        float b = random.nextFloat() - 0.5f;
        sum += a * b;
        exact += (double) a * b;
        magnitudes += Math.abs((double) a * b);
      }
      assertNear(exact, sum, gamma(n, Rounding.FLOAT32) * magnitudes, n + " products");
      assertNear(exact, sum, likely(n, Rounding.FLOAT32) * magnitudes, n + " products, likely");
    }
  }

  @Test
  void unitRoundoffsAreHalfTheDistanceToTheNextNumber() {
    assertEquals(Math.ulp(1.0) / 2, Rounding.FLOAT64);
    assertEquals(Math.ulp(1f) / 2, Rounding.FLOAT32);
    assertEquals(0.5 / (1 - 0.5), gamma(128, Rounding.BFLOAT16));
    String refused =
        assertThrows(IllegalArgumentException.class, () -> gamma(2048, Rounding.FLOAT16))
            .getMessage();
    assertEquals("the roundings must be less than 2048.0, got 2048.0", refused);
  }

  @Test
  void likelyGrowsWithTheRootAndIsNeverMoreThanGamma() {
    assertEquals(gamma(64, Rounding.FLOAT32), likely(64, Rounding.FLOAT32));
    assertEquals(gamma(20, Rounding.FLOAT32), likely(20, Rounding.FLOAT32));
    assertEquals(gamma(80, Rounding.FLOAT32), likely(100, Rounding.FLOAT32));
  }

  @Test
  void whatIsMovedIsTheLargestOfSomeDraws() {
    Random random = TestSeed.random();
    float[] largest = {0};
    float[] expected = {1, 2};
    double moved =
        Rounding.moved(
            expected,
            () -> {
              float[] off = {1, 2 + random.nextFloat()};
              largest[0] = Math.max(largest[0], off[1] - 2);
              return off;
            });
    assertEquals(largest[0], moved);
  }

  @Test
  void whatIsOffByMoreThanItsLimitFails() {
    assertNear(new float[] {1, 2}, new float[] {1, 2.5f}, 0.5, "x");
    AssertionError off =
        assertThrows(
            AssertionError.class,
            () -> assertNear(new float[] {1, 2}, new float[] {1.25f, 2.5f}, 0.4, "x"));
    assertTrue(off.getMessage().startsWith("x[1], expected 2.0, got 2.5,"), off.getMessage());
    assertThrows(AssertionError.class, () -> assertAtMost(1, Double.NaN, "x"));
    assertThrows(AssertionError.class, () -> assertAtMost(Double.NaN, 1, "x"));
    assertThrows(AssertionError.class, () -> assertNear(1, Float.NaN, 1, "x"));
    assertThrows(
        AssertionError.class,
        () -> assertNear(new float[] {1, 2}, new float[] {Float.NaN, 2}, 1, "x"));
    assertThrows(AssertionError.class, () -> assertAtMost(Double.POSITIVE_INFINITY, 1, "x"));
    assertNear(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY, 0, "x");
    assertNear(Double.NaN, Double.NaN, 0, "x");
    assertAtMost(0, 0, "x");
    assertThrows(
        AssertionError.class, () -> assertNear(new float[1], new float[2], 1, "of other lengths"));
  }

  @Test
  void whatCameNearestIsNoted() {
    assertAtMost(4, 1, "a");
    assertAtMost(4, 3, "b");
    assertAtMost(4, 2, "c");
    var nearest = TestSeed.nearest().orElseThrow();
    assertEquals(0.75, nearest.getKey());
    assertEquals("b", nearest.getValue());
    assertThrows(AssertionError.class, () -> assertAtMost(4, Double.NaN, "d"));
    assertThrows(AssertionError.class, () -> assertAtMost(0, 1, "e"));
    assertEquals("d", TestSeed.nearest().orElseThrow().getValue());
  }
}
