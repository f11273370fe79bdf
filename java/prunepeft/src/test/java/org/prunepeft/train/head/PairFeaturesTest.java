package org.prunepeft.train.head;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

class PairFeaturesTest {
  /** Of finite differences. */
  private static final double STEP = 1e-5;

  private final Random random = TestSeed.random();

  @BeforeAll
  static void loadTorch() {
    Torch.load();
  }

  private double[] normal(int n) {
    return random.doubles(n).map(x -> random.nextGaussian()).toArray();
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  /** Those of pairs [2·n, hidden], in float64. */
  private static double[] reference(double[] pooled, int n, int hidden) {
    int width = 3 * hidden + 1;
    double[] features = new double[n * width];
    for (int i = 0; i < n; i++) {
      double dot = 0;
      double uu = 0;
      double vv = 0;
      for (int j = 0; j < hidden; j++) {
        double u = pooled[2 * i * hidden + j];
        double v = pooled[(2 * i + 1) * hidden + j];
        features[i * width + j] = u;
        features[i * width + hidden + j] = v;
        features[i * width + 2 * hidden + j] = Math.abs(u - v);
        dot += u * v;
        uu += u * u;
        vv += v * v;
      }
      features[i * width + 3 * hidden] = dot / Math.sqrt(uu * vv);
    }
    return features;
  }

  private static double weighted(double[] features, double[] weights) {
    double sum = 0;
    for (int i = 0; i < features.length; i++) {
      sum += weights[i] * features[i];
    }
    return sum;
  }

  private static double slope(double[] pooled, double[] weights, int hidden, int i, double step) {
    int n = pooled.length / (2 * hidden);
    double before = pooled[i];
    pooled[i] = before + step;
    double above = weighted(reference(pooled, n, hidden), weights);
    pooled[i] = before - step;
    double below = weighted(reference(pooled, n, hidden), weights);
    pooled[i] = before;
    return (above - below) / (2 * step);
  }

  private static double norm(double[] pooled, int hidden, int text) {
    return Math.sqrt(
        Arrays.stream(pooled, text * hidden, (text + 1) * hidden).map(x -> x * x).sum());
  }

  private static double leastNorm(double[] pooled, int hidden) {
    return IntStream.range(0, pooled.length / hidden)
        .mapToDouble(text -> norm(pooled, hidden, text))
        .min()
        .orElseThrow();
  }

  private static double largestWeight(double[] weights) {
    return Arrays.stream(weights).map(Math::abs).max().orElseThrow();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 24})
  void featuresAndGradientsAreThoseOfTheReference(int hidden) {
    int n = 5;
    // Far from where |u-v| has a kink, and a cosine no slope.
    double[] pooled;
    do {
      pooled = normal(2 * n * hidden);
      for (int i = 0; i < n * hidden; i++) {
        int u = i / hidden * 2 * hidden + i % hidden;
        pooled[u] = pooled[u + hidden] + Math.copySign(0.1 + Math.abs(pooled[u]), pooled[u]);
      }
    } while (leastNorm(pooled, hidden) < 0.1);
    double[] weights = normal(n * PairFeatures.width(hidden));
    try (PointerScope scope = new PointerScope()) {
      Tensor input = Torch.floats(floats(pooled), 2 * n, hidden).requires_grad_(true);
      Tensor features = PairFeatures.of(input);
      assertEquals(PairFeatures.width(hidden), features.size(1));
      // A cosine is of three sums over the columns, of which two are norms; its sizes are at most
      // 1. A difference is rounded once, and so are the texts.
      double largest = Rounding.largest(floats(pooled));
      double limit = Rounding.gamma(2 * hidden + 6, Rounding.FLOAT32) * Math.max(1, largest);
      Rounding.assertNear(
          floats(reference(pooled, n, hidden)),
          Torch.toFloats(features.detach()),
          limit,
          "features");
      features.mul(Torch.floats(floats(weights), n, PairFeatures.width(hidden))).sum().backward();
      float[] gradient = Torch.toFloats(input.grad());
      for (int i = 0; i < pooled.length; i++) {
        // A step of half the size has a quarter of the error.
        double expected = slope(pooled, weights, hidden, i, STEP / 2);
        double ofStep = Math.abs(slope(pooled, weights, hidden, i, STEP) - expected);
        // Of weights on two features, and of a cosine's two terms, each at most its weight by a
        // norm.
        int text = i / hidden;
        double cosine = 2 / norm(pooled, hidden, text);
        double size = largestWeight(weights) * (2 + cosine);
        // Sums over the columns: a product and two norms.
        double ofSums = Rounding.gamma(3 * hidden + 12, Rounding.FLOAT32) * size;
        Rounding.assertNear(expected, gradient[i], ofSums + ofStep, "input " + i);
      }
    }
  }

  @Test
  void swappedTextsSwapTheirOwnFeaturesAndLeaveTheOthers() {
    int hidden = 6;
    float[] u = floats(normal(hidden));
    float[] v = floats(normal(hidden));
    try (PointerScope scope = new PointerScope()) {
      float[] one = features(u, v);
      float[] other = features(v, u);
      for (int j = 0; j < hidden; j++) {
        assertEquals(one[j], other[hidden + j]);
        assertEquals(one[hidden + j], other[j]);
        assertEquals(one[2 * hidden + j], other[2 * hidden + j]);
      }
      double ofCosines = 2 * Rounding.gamma(2 * hidden + 4, Rounding.FLOAT32);
      Rounding.assertNear(one[3 * hidden], other[3 * hidden], ofCosines, "cosine");
    }
  }

  private static float[] features(float[] u, float[] v) {
    float[] both = java.util.Arrays.copyOf(u, 2 * u.length);
    System.arraycopy(v, 0, both, u.length, v.length);
    return Torch.toFloats(PairFeatures.of(Torch.floats(both, 2, u.length)));
  }

  /** Where neither |u-v| nor the cosine has a derivative in every direction. */
  @Test
  void gradientsOfTheSameTextTwiceAndOfNothingAreFinite() {
    int hidden = 4;
    float[] same = floats(normal(hidden));
    float[] pooled = new float[4 * hidden];
    System.arraycopy(same, 0, pooled, 0, hidden);
    System.arraycopy(same, 0, pooled, hidden, hidden);
    try (PointerScope scope = new PointerScope()) {
      Tensor input = Torch.floats(pooled, 4, hidden).requires_grad_(true);
      Tensor features = PairFeatures.of(input);
      double ofCosine = Rounding.gamma(2 * hidden + 4, Rounding.FLOAT32);
      Rounding.assertNear(1, Torch.toFloats(features.detach())[3 * hidden], ofCosine, "cosine");
      features.sum().backward();
      for (float value : Torch.toFloats(input.grad())) {
        assertTrue(Float.isFinite(value), "gradient " + value);
      }
    }
  }
}
