package org.prunepeft.train.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.Schema;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.head.HeadFit.Examples;

class HeadFitTest {
  private static final Examples NONE = new Examples(new float[0], new double[0]);

  private final Random random = TestSeed.random();

  private float[] normal(int n) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static Schema classes(int n) {
    return Schema.classification(IntStream.range(0, n).mapToObj(i -> "c" + i).toList());
  }

  /** Classes whose means are drawn, with noise. */
  private Examples clusters(int classes, int each, int hidden, float[] centres, double noise) {
    int n = classes * each;
    float[] pooled = normal(n * hidden);
    double[] targets = new double[n];
    for (int i = 0; i < n; i++) {
      targets[i] = i % classes;
      for (int j = 0; j < hidden; j++) {
        pooled[i * hidden + j] =
            (float) (noise * pooled[i * hidden + j] + centres[i % classes * hidden + j]);
      }
    }
    return new Examples(pooled, targets);
  }

  private static void assertFinite(Head head) {
    for (String name : head.parameters().names()) {
      for (float value : Torch.toFloats(head.parameters().get(name))) {
        assertTrue(Float.isFinite(value), name);
      }
    }
  }

  private static Head fit(Examples train, Examples validation, Schema schema) {
    return HeadFit.fit(train, validation, schema, ComputeDevice.CPU, Pooling.MEAN, 0, null, 5);
  }

  private static double[] doubles(float[] values) {
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }

  /** Straight from the definition, in plain loops. */
  private static double loss(
      double[] x, double[] t, double[] w, int n, int d, int c, boolean softmax, double strength) {
    double loss = 0;
    for (int i = 0; i < n; i++) {
      double[] z = new double[c];
      for (int k = 0; k < c; k++) {
        z[k] = w[c * d + k];
        for (int j = 0; j < d; j++) {
          z[k] += w[k * d + j] * x[i * d + j];
        }
      }
      if (softmax) {
        double sum = Arrays.stream(z).map(Math::exp).sum();
        for (int k = 0; k < c; k++) {
          loss -= t[i * c + k] * (z[k] - Math.log(sum)) / n;
        }
      } else {
        loss += (z[0] - t[i]) * (z[0] - t[i]) / 2 / n;
      }
    }
    for (int i = 0; i < c * d; i++) {
      loss += strength / 2 * w[i] * w[i];
    }
    return loss;
  }

  /** Numbers that go by the cosine alone, of pairs [n, 3·hidden + 1]. */
  private Examples byCosine(int n, int hidden, int towers) {
    try (PointerScope scope = new PointerScope()) {
      float[] features =
          Torch.toFloats(PairFeatures.of(Torch.floats(normal(2 * n * hidden), 2 * n, hidden)));
      int width = PairFeatures.width(hidden);
      double[] targets =
          IntStream.range(0, n)
              .mapToDouble(i -> features[(i + 1) * width - 1] + 0.03 * random.nextGaussian())
              .toArray();
      return new Examples(features, targets, towers);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-8, 1e-30})
  void featuresThatHardlyVaryBecomeConstants(double scale) {
    int hidden = 5;
    Examples train = clusters(3, 20, hidden, normal(3 * hidden), 0.3);
    double mean = 0;
    double magnitudes = 0;
    for (int i = 0; i < train.targets().length; i++) {
      train.pooled()[i * hidden + 2] *= (float) scale;
      mean += train.pooled()[i * hidden + 2] / train.targets().length;
      magnitudes += Math.abs(train.pooled()[i * hidden + 2]) / train.targets().length;
    }
    try (Head head = fit(train, NONE, classes(3));
        Head trained = head.copy()) {
      assertFinite(head);
      trained.dropVanishing();
      float[] before = Torch.toFloats(head.parameters().get(Head.WEIGHT));
      float[] after = Torch.toFloats(trained.parameters().get(Head.WEIGHT));
      float[] bias = Torch.toFloats(head.parameters().get(Head.BIAS));
      float[] biasAfter = Torch.toFloats(trained.parameters().get(Head.BIAS));
      for (int k = 0; k < 3; k++) {
        for (int j = 0; j < hidden; j++) {
          assertEquals(j == 2 ? 0 : before[k * hidden + j], after[k * hidden + j]);
        }
        double constant = before[k * hidden + 2] * mean;
        assertTrue(constant != 0, "the feature had a weight");
        // A mean over the examples, a product and a sum.
        double limit =
            Rounding.gamma(train.targets().length + 3, Rounding.FLOAT32)
                * (Math.abs(bias[k]) + Math.abs(before[k * hidden + 2]) * magnitudes);
        Rounding.assertNear(bias[k] + constant, biasAfter[k], limit, "bias " + k);
      }
    }
  }

  /** One number of as many as there are examples, which a penalty on all alike would shrink. */
  @Test
  void theCosineOfTwoTextsIsFoundAmongTheirOtherFeatures() {
    int hidden = 64;
    Examples train = byCosine(150, hidden, 2);
    Examples validation = byCosine(100, hidden, 2);
    Examples test = byCosine(400, hidden, 2);
    try (Head head = fit(train, validation, Schema.regression());
        Head other =
            fit(
                new Examples(train.pooled(), train.targets()),
                new Examples(validation.pooled(), validation.targets()),
                Schema.regression())) {
      double loss = HeadFit.evaluate(head, test).loss();
      double alike = HeadFit.evaluate(other, test).loss();
      assertTrue(loss < 0.7 * alike, loss + ", with all features alike " + alike);
    }
  }

  @Test
  void optimumOfThePenalisedLossHasNoGradientInAnyDirection() {
    int n = 57;
    int d = 5;
    int c = 4;
    for (boolean softmax : new boolean[] {true, false}) {
      int outputs = softmax ? c : 1;
      double[] x = doubles(normal(n * d));
      double[] t = new double[n * outputs];
      for (int i = 0; i < n; i++) {
        if (softmax) {
          Arrays.fill(t, i * c, (i + 1) * c, 0.1 / c);
          t[i * c + random.nextInt(c)] += 0.9;
        } else {
          t[i] = random.nextGaussian();
        }
      }
      try (PointerScope scope = new PointerScope()) {
        PenalisedLoss loss =
            new PenalisedLoss(
                Tensor.create(x, n, d), Tensor.create(t, n, outputs), softmax, false, 0.03);
        // A step that takes such a gradient g away lowers the loss by g²/2 over its curvature, of 1
        // or so: by 5e-15, which is just above the roundings of a loss of 1. Of a smaller gradient
        // no step may get lower.
        double tolerance = 1e-7;
        Lbfgs.Minimum result = minimise(loss, new double[loss.size()], tolerance);
        assertTrue(result.gradient() <= tolerance, "gradient " + result.gradient());
        double least = loss(x, t, result.x(), n, d, outputs, softmax, 0.03);
        assertEquals(least, result.value(), 1e-10);
        for (int i = 0; i < result.x().length; i++) {
          double h = 1e-4;
          double[] up = result.x().clone();
          double[] down = result.x().clone();
          up[i] += h;
          down[i] -= h;
          double slope =
              (loss(x, t, up, n, d, outputs, softmax, 0.03)
                      - loss(x, t, down, n, d, outputs, softmax, 0.03))
                  / (2 * h);
          assertEquals(0, slope, 1e-6, "slope " + i);
        }
      }
    }
  }

  @Test
  void ridgeRegressionHasItsClosedForm() {
    int n = 40;
    int d = 3;
    double strength = 0.2;
    double[] x = doubles(normal(n * d));
    double[] t = doubles(normal(n));
    // Centred by hand: the bias has no penalty. (XᵀX/n + λ) w = Xᵀ t/n, by elimination.
    double[] means = new double[d + 1];
    for (int i = 0; i < n; i++) {
      means[d] += t[i] / n;
      for (int j = 0; j < d; j++) {
        means[j] += x[i * d + j] / n;
      }
    }
    double[][] a = new double[d][d + 1];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < d; j++) {
        double centred = x[i * d + j] - means[j];
        a[j][d] += centred * (t[i] - means[d]) / n;
        for (int k = 0; k < d; k++) {
          a[j][k] += centred * (x[i * d + k] - means[k]) / n;
        }
      }
    }
    for (int j = 0; j < d; j++) {
      a[j][j] += strength;
    }
    for (int p = 0; p < d; p++) {
      for (int j = 0; j < d; j++) {
        double factor = a[j][p] / a[p][p];
        for (int k = p; j != p && k <= d; k++) {
          a[j][k] -= factor * a[p][k];
        }
      }
    }
    double[] expected = new double[d + 1];
    expected[d] = means[d];
    for (int j = 0; j < d; j++) {
      expected[j] = a[j][d] / a[j][j];
      expected[d] -= expected[j] * means[j];
    }
    try (PointerScope scope = new PointerScope()) {
      PenalisedLoss loss =
          new PenalisedLoss(Tensor.create(x, n, d), Tensor.create(t, n, 1), false, false, strength);
      Lbfgs.Minimum result = minimise(loss, new double[d + 1], 1e-9);
      assertArrayEquals(expected, result.x(), 1e-7);
    }
  }

  @Test
  void separableDataStayFiniteAndAreToldApart() {
    float[] centres = {20, 0, 0, 0, 0, 20, 0, 0};
    Examples train = clusters(2, 30, 4, centres, 1);
    for (Examples validation : List.of(NONE, clusters(2, 10, 4, centres, 1))) {
      try (Head head = fit(train, validation, classes(2))) {
        assertFinite(head);
        assertEquals(1, HeadFit.evaluate(head, train).primary());
      }
    }
  }

  @Test
  void oneExampleOfAClassOneExampleAtAllAndClassesWithoutAny() {
    Examples each = clusters(5, 1, 3, normal(15), 1);
    Examples one = new Examples(normal(3), new double[] {1});
    for (Examples train : List.of(each, one)) {
      for (Examples validation : List.of(NONE, clusters(5, 2, 3, normal(15), 1))) {
        try (Head head = fit(train, validation, classes(6))) {
          assertFinite(head);
          assertTrue(Double.isFinite(HeadFit.evaluate(head, train).loss()));
        }
      }
    }
  }

  @Test
  void constantFeaturesGetNoWeight() {
    Examples train = clusters(3, 20, 4, normal(12), 0.5);
    for (int i = 0; i < train.targets().length; i++) {
      train.pooled()[i * 4 + 2] = 1e4f;
    }
    try (Head head = fit(train, NONE, classes(3))) {
      assertFinite(head);
      float[] weight = Torch.toFloats(head.parameters().get(Head.WEIGHT));
      for (int k = 0; k < 3; k++) {
        assertTrue(weight[k * 4 + 2] == 0, "weight " + weight[k * 4 + 2]);
      }
    }
  }

  @Test
  void constantTargetsArePredicted() {
    Examples train = new Examples(normal(8 * 3), new double[] {4, 4, 4, 4, 4, 4, 4, 4});
    try (Head head = fit(train, NONE, Schema.regression())) {
      assertEquals(0, HeadFit.evaluate(head, train).loss(), 1e-10);
    }
  }

  @Test
  void targetsWithoutRelationToTheFeaturesAreNotLearntByHeart() {
    // The strength is chosen by folds, of which one draw in some forty is misled.
    double median =
        IntStream.range(0, 9).mapToDouble(draw -> trainingLossOnNoise()).sorted().toArray()[4];
    assertTrue(median > 0.3, "median loss " + median);
  }

  private double trainingLossOnNoise() {
    int n = 60;
    int hidden = 50;
    double[] targets = random.ints(n, 0, 2).asDoubleStream().toArray();
    Examples train = new Examples(normal(n * hidden), targets);
    try (Head head = fit(train, NONE, classes(2))) {
      return HeadFit.evaluate(head, train).loss();
    }
  }

  @Test
  @FixedSeed("how far a fit gets differs from draw to draw")
  void manyClassesWithTwoHundredExamplesEach() {
    int hidden = 48;
    float[] centres = normal(77 * hidden);
    Examples train = clusters(77, 200, hidden, centres, 1);
    Examples validation = clusters(77, 5, hidden, centres, 1);
    try (Head head = fit(train, validation, classes(77))) {
      assertFinite(head);
      double accuracy = HeadFit.evaluate(head, validation).primary();
      assertTrue(accuracy > 0.98, "accuracy " + accuracy);
    }
  }

  @Test
  void sameSeedGivesTheSameBits() {
    Examples train = clusters(3, 25, 6, normal(18), 2);
    try (Head a = fit(train, NONE, classes(3));
        Head b = fit(train, NONE, classes(3))) {
      assertArrayEquals(
          Torch.toFloats(a.parameters().values()), Torch.toFloats(b.parameters().values()));
    }
  }

  @Test
  void labelSmoothingKeepsScoresApartByNoMore() {
    float[] centres = {20, 0, 0, 0, 0, 20, 0, 0};
    Examples train = clusters(2, 50, 4, centres, 1);
    try (Head sharp = fit(train, NONE, classes(2));
        Head smooth =
            HeadFit.fit(train, NONE, classes(2), ComputeDevice.CPU, Pooling.MEAN, 0.2, null, 5)) {
      double least = HeadFit.evaluate(sharp, train).loss();
      // A label of 0.9: its cross-entropy is least where the class has 0.9.
      assertEquals(-Math.log(0.9), HeadFit.evaluate(smooth, train).loss(), 0.03);
      assertTrue(least < 0.01, least + "");
    }
  }

  /** Weights of 1/2, 1 and 3/2 by the mean, and one, two and three copies. */
  @Test
  void aWeightIsAsManyCopiesOfTheExample() {
    Random random = TestSeed.random();
    int d = 4;
    double[] x = random.doubles(3 * d, -1, 1).toArray();
    double[] weighted = {0.5, 0, 0, 0, 1, 0, 0, 0, 1.5};
    double[] copied = new double[6 * d];
    double[] single = new double[6 * 3];
    int row = 0;
    for (int i = 0; i < 3; i++) {
      for (int copy = 0; copy <= i; copy++) {
        System.arraycopy(x, i * d, copied, row * d, d);
        single[row * 3 + i] = 1;
        row++;
      }
    }
    double[] at = random.doubles(3 * d + 3, -1, 1).toArray();
    try (PointerScope scope = new PointerScope()) {
      PenalisedLoss byWeight =
          new PenalisedLoss(Tensor.create(x, 3, d), Tensor.create(weighted, 3, 3), true, true, 0.1);
      PenalisedLoss byCopies =
          new PenalisedLoss(
              Tensor.create(copied, 6, d), Tensor.create(single, 6, 3), true, false, 0.1);
      double[] gradient = new double[at.length];
      double[] expected = new double[at.length];
      assertEquals(byCopies.at(at, expected), byWeight.at(at, gradient), 1e-12);
      assertArrayEquals(expected, gradient, 1e-12);
    }
  }

  /** Down to a gradient: {@code tolerance} of each of its elements by the weights. */
  private static Lbfgs.Minimum minimise(PenalisedLoss loss, double[] start, double tolerance) {
    double[] scales = loss.scales();
    double largest = Arrays.stream(scales).max().orElseThrow();
    return HeadFit.minimise(loss, scales, start, tolerance / largest, 3000);
  }
}
