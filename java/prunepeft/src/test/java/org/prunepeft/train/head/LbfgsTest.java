package org.prunepeft.train.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.TestSeed;

class LbfgsTest {
  private final Random random = TestSeed.random();

  private double[] normal(int n) {
    return random.doubles(n, -2, 2).toArray();
  }

  @Test
  void quadraticOfUnlikeCurvaturesIsMinimisedAtItsCentre() {
    int n = 41;
    double[] centre = normal(n);
    Lbfgs.Minimum result =
        Lbfgs.minimise(
            (x, gradient) -> {
              double value = 0;
              for (int i = 0; i < n; i++) {
                double curvature = Math.pow(10, 4.0 * i / n - 2);
                double d = x[i] - centre[i];
                gradient[i] = curvature * d;
                value += curvature * d * d / 2;
              }
              return value;
            },
            new double[n],
            1e-9,
            1000);
    assertArrayEquals(centre, result.x(), 1e-6);
    assertTrue(result.gradient() <= 1e-9, "gradient " + result.gradient());
  }

  @Test
  void convexFunctionThatIsNoQuadraticIsMinimised() {
    double[] slopes = normal(13);
    // Σ log cosh(x − s) + (x − s)⁴
    Lbfgs.Minimum result =
        Lbfgs.minimise(
            (x, gradient) -> {
              double value = 0;
              for (int i = 0; i < x.length; i++) {
                double d = x[i] - slopes[i];
                gradient[i] = Math.tanh(d) + 4 * d * d * d;
                value += Math.log(Math.cosh(d)) + d * d * d * d;
              }
              return value;
            },
            normal(13),
            1e-8,
            1000);
    assertArrayEquals(slopes, result.x(), 1e-7);
  }

  @Test
  void curvedValleyIsFollowedToItsEnd() {
    Lbfgs.Minimum result =
        Lbfgs.minimise(
            (x, gradient) -> {
              double a = x[1] - x[0] * x[0];
              gradient[0] = -400 * a * x[0] - 2 * (1 - x[0]);
              gradient[1] = 200 * a;
              return 100 * a * a + (1 - x[0]) * (1 - x[0]);
            },
            new double[] {-1.2, 1},
            1e-8,
            1000);
    assertArrayEquals(new double[] {1, 1}, result.x(), 1e-7);
    assertTrue(result.evaluations() < 100, result.evaluations() + " evaluations");
  }

  @Test
  void startAtTheMinimumStays() {
    double[] start = {0, 0};
    Lbfgs.Minimum result =
        Lbfgs.minimise(
            (x, gradient) -> {
              gradient[0] = x[0];
              gradient[1] = x[1];
              return (x[0] * x[0] + x[1] * x[1]) / 2;
            },
            start,
            1e-9,
            10);
    assertArrayEquals(start, result.x());
    assertEquals(1, result.evaluations());
  }
}
