package org.prunepeft.train.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

class PairFeaturesTest {
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

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 24})
  void featuresAndGradientsAreThoseOfTheReference(int hidden) {
    int n = 5;
    // Far from where |u-v| has a kink.
    double[] pooled = normal(2 * n * hidden);
    for (int i = 0; i < n * hidden; i++) {
      int u = i / hidden * 2 * hidden + i % hidden;
      pooled[u] = pooled[u + hidden] + Math.copySign(0.1 + Math.abs(pooled[u]), pooled[u]);
    }
    double[] weights = normal(n * PairFeatures.width(hidden));
    try (PointerScope scope = new PointerScope()) {
      Tensor input = Torch.floats(floats(pooled), 2 * n, hidden).requires_grad_(true);
      Tensor features = PairFeatures.of(input);
      assertEquals(PairFeatures.width(hidden), features.size(1));
      assertArrayEquals(
          floats(reference(pooled, n, hidden)), Torch.toFloats(features.detach()), 1e-5f);
      features.mul(Torch.floats(floats(weights), n, PairFeatures.width(hidden))).sum().backward();
      float[] gradient = Torch.toFloats(input.grad());
      double step = 1e-5;
      for (int i = 0; i < pooled.length; i++) {
        double before = pooled[i];
        pooled[i] = before + step;
        double above = weighted(reference(pooled, n, hidden), weights);
        pooled[i] = before - step;
        double below = weighted(reference(pooled, n, hidden), weights);
        pooled[i] = before;
        double expected = (above - below) / (2 * step);
        assertEquals(expected, gradient[i], 2e-4 * (1 + Math.abs(expected)), "input " + i);
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
      assertEquals(one[3 * hidden], other[3 * hidden], 1e-6f);
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
      assertEquals(1, Torch.toFloats(features.detach())[3 * hidden], 1e-6f);
      features.sum().backward();
      for (float value : Torch.toFloats(input.grad())) {
        assertTrue(Float.isFinite(value), "gradient " + value);
      }
    }
  }
}
