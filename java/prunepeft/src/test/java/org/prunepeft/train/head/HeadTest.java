package org.prunepeft.train.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Schema;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

class HeadTest {
  private static final int HIDDEN = 7;

  private final Random random = TestSeed.random();

  private float[] normal(int n) {
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private void randomise(Head head) {
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      for (String name : head.parameters().names()) {
        Tensor tensor = head.parameters().get(name);
        tensor.copy_(Torch.floats(normal((int) tensor.numel()), tensor.numel()).view_as(tensor));
      }
    }
  }

  private static double[] doubles(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }

  private static double meanSquare(float[] outputs, double[] targets) {
    double sum = 0;
    for (int i = 0; i < targets.length; i++) {
      sum += (outputs[i] - targets[i]) * (outputs[i] - targets[i]);
    }
    return sum / targets.length;
  }

  /** Of a mean square whose outputs and targets pass so many roundings in all. */
  private static double limit(float[] outputs, double[] targets, int roundings) {
    double share = Rounding.gamma(roundings, Rounding.FLOAT32);
    double sum = 0;
    for (int i = 0; i < targets.length; i++) {
      double error = share * (Math.abs(outputs[i]) + Math.abs(targets[i]));
      sum += error * (2 * Math.abs(outputs[i] - targets[i]) + error);
      sum += share * Math.pow(outputs[i] - targets[i], 2);
    }
    return sum / targets.length;
  }

  @Test
  void lossOfARegressionIsTheMeanSquaredErrorAndItsGradientThatOfFiniteDifferences() {
    int n = 13;
    double[] targets = doubles(normal(n));
    try (Head head = new Head(Schema.regression(), HIDDEN);
        PointerScope scope = new PointerScope()) {
      randomise(head);
      Tensor pooled = Torch.floats(normal(n * HIDDEN), n, HIDDEN);
      Tensor logits = head.logits(pooled);
      Tensor loss = head.loss(logits, head.targets(targets));
      float[] outputs = Torch.toFloats(logits);
      double expectedLoss = meanSquare(outputs, targets);
      double limit = limit(outputs, targets, n + 4);
      Rounding.assertNear(expectedLoss, loss.item_double(), limit, "loss");
      loss.backward();
      // 2/n Σ (y − t), summed here.
      double expected = 0;
      double magnitudes = 0;
      for (int i = 0; i < n; i++) {
        expected += 2 * (outputs[i] - targets[i]) / n;
        magnitudes += 2 * (Math.abs(outputs[i]) + Math.abs(targets[i])) / n;
      }
      Rounding.assertNear(
          expected,
          Torch.toFloats(head.parameters().get(Head.BIAS).grad())[0],
          Rounding.gamma(n + 4, Rounding.FLOAT32) * magnitudes,
          "gradient of the bias");
    }
  }

  @Test
  void standardisedHeadTellsTheSameAfterFolding() {
    int n = 11;
    double[] targets = new double[n];
    for (int i = 0; i < n; i++) {
      targets[i] = 5000 + 300 * random.nextGaussian();
    }
    try (Head head = new Head(Schema.regression(), HIDDEN);
        PointerScope scope = new PointerScope()) {
      head.standardise(targets);
      randomise(head);
      Tensor pooled = Torch.floats(normal(n * HIDDEN), n, HIDDEN);
      float[] before = Torch.toFloats(head.logits(pooled));
      double standardised = head.loss(head.logits(pooled), head.targets(targets)).item_double();
      head.fold();
      float[] after = Torch.toFloats(head.logits(pooled));
      // The mean, the deviation, a sum over the columns, and the same folded, of 5,000 and more.
      int roundings = 2 * (HIDDEN + 6);
      Rounding.assertNear(
          before,
          after,
          Rounding.gamma(roundings, Rounding.FLOAT32) * Rounding.largest(before),
          "outputs");
      double plain = head.loss(head.logits(pooled), head.targets(targets)).item_double();
      double limit = limit(after, targets, n + 4);
      Rounding.assertNear(meanSquare(after, targets), plain, limit, "loss");
      double mean = java.util.Arrays.stream(targets).average().orElseThrow();
      double variance =
          java.util.Arrays.stream(targets).map(t -> (t - mean) * (t - mean)).sum() / n;
      double ofOutputs = limit(after, targets, n + 4 + roundings);
      Rounding.assertNear(plain / variance, standardised, ofOutputs / variance, "standardised");
    }
  }

  @Test
  void regressionOfLargeNumbersIsFitted() {
    int n = 400;
    float[] pooled = normal(n * HIDDEN);
    float[] weights = normal(HIDDEN);
    double[] targets = new double[n];
    for (int i = 0; i < n; i++) {
      targets[i] = 250_000;
      for (int j = 0; j < HIDDEN; j++) {
        targets[i] += 40_000 * weights[j] * pooled[i * HIDDEN + j];
      }
    }
    HeadFit.Examples examples = new HeadFit.Examples(pooled, targets);
    try (Head head =
        HeadFit.fit(
            examples,
            new HeadFit.Examples(new float[0], new double[0]),
            Schema.regression(),
            ComputeDevice.CPU,
            Pooling.MEAN,
            0,
            null,
            1)) {
      Evaluation evaluation = HeadFit.evaluate(head, examples);
      assertTrue(evaluation.primary() > 0.999, evaluation.text());
      double mean = java.util.Arrays.stream(targets).average().orElseThrow();
      double variance =
          java.util.Arrays.stream(targets).map(t -> (t - mean) * (t - mean)).sum() / n;
      assertTrue(evaluation.loss() < 0.01 * variance, evaluation.loss() + " of " + variance);
    }
  }

  @Test
  void copyTellsTheSameAndIsItsOwn() {
    double[] targets = {10, 20, 60};
    try (Head head = new Head(Schema.regression(), HIDDEN);
        PointerScope scope = new PointerScope()) {
      head.standardise(targets);
      randomise(head);
      Tensor pooled = Torch.floats(normal(3 * HIDDEN), 3, HIDDEN);
      float[] predicted = Torch.toFloats(head.logits(pooled));
      try (Head copy = head.copy()) {
        assertArrayEquals(predicted, Torch.toFloats(copy.logits(pooled)));
        randomise(copy);
        copy.fold();
        assertArrayEquals(predicted, Torch.toFloats(head.logits(pooled)));
      }
    }
  }

  /**
   * Beyond these numbers the loss is NaN, or its gradient 0. At 1e18, which is taken too, squares
   * of outputs that are ten deviations away are beyond float32.
   */
  @ParameterizedTest
  @CsvSource({
    "1e-200, true",
    "1e-20, true",
    "1e-18, false",
    "1, false",
    "1e17, false",
    "1e20, true",
    "1e39, true",
    "1e200, true"
  })
  void targetsThatFloat32CannotTrainOnAreRefused(double scale, boolean refused) {
    double[] targets = {0, scale, 2 * scale, 3 * scale};
    try (Head head = new Head(Schema.regression(), HIDDEN);
        PointerScope scope = new PointerScope()) {
      if (refused) {
        String message =
            assertThrows(DataException.class, () -> head.standardise(targets)).getMessage();
        assertTrue(message.contains("from 0.0 to " + 3 * scale), message);
        assertTrue(message.contains("; scale the labels"), message);
        return;
      }
      head.standardise(targets);
      randomise(head);
      Tensor pooled = Torch.floats(normal(4 * HIDDEN), 4, HIDDEN);
      double loss = head.loss(head.logits(pooled), head.targets(targets)).item_double();
      assertTrue(loss > 1e-3 && loss < 1e3, "" + loss);
    }
  }

  /** Their mean is off by a rounding. */
  @Test
  void constantTargetsOfAnySizeAreTaken() {
    for (double target : new double[] {0.1, 1e-3, 1e-12, 1e30}) {
      double[] targets = new double[7];
      java.util.Arrays.fill(targets, target);
      try (Head head = new Head(Schema.regression(), HIDDEN);
          PointerScope scope = new PointerScope()) {
        head.standardise(targets);
        Tensor logits = head.logits(Torch.floats(normal(7 * HIDDEN), 7, HIDDEN));
        assertEquals((float) target, Torch.toFloats(logits)[0], 1e-6f * (float) target);
      }
    }
  }

  @Test
  void constantTargetsDoNotDivideByZero() {
    double[] targets = {4, 4, 4};
    try (Head head = new Head(Schema.regression(), HIDDEN);
        PointerScope scope = new PointerScope()) {
      head.standardise(targets);
      Tensor logits = head.logits(Torch.floats(normal(3 * HIDDEN), 3, HIDDEN));
      assertArrayEquals(new float[] {4, 4, 4}, Torch.toFloats(logits));
      assertEquals(0, head.loss(logits, head.targets(targets)).item_double());
    }
  }

  @Test
  void headOfAClassificationIsNotStandardised() {
    Schema schema = Schema.classification(List.of("a", "b", "c"));
    try (Head head = new Head(schema, HIDDEN);
        PointerScope scope = new PointerScope()) {
      randomise(head);
      Tensor pooled = Torch.floats(normal(HIDDEN), 1, HIDDEN);
      float[] before = Torch.toFloats(head.logits(pooled));
      head.standardise(new double[] {2, 2, 0, 1});
      assertArrayEquals(before, Torch.toFloats(head.logits(pooled)));
    }
  }

  @Test
  void theLossIsTheMeanOverTheExamplesTimesTheWeightsOfTheirClasses() {
    float[] scores = {1, 2, 0, -1, 3, 0.5f};
    double[] targets = {0, 1, 1};
    try (Head head = new Head(Schema.classification(List.of("a", "b")), HIDDEN);
        PointerScope scope = new PointerScope()) {
      head.weigh(new double[] {0.5, 2});
      double sum = 0;
      double smoothed = 0;
      for (int i = 0; i < 3; i++) {
        double own = targets[i] == 0 ? 0.5 : 2;
        double normaliser = Math.log(Math.exp(scores[2 * i]) + Math.exp(scores[2 * i + 1]));
        double right = normaliser - scores[2 * i + (int) targets[i]];
        double mean = normaliser - (scores[2 * i] + scores[2 * i + 1]) / 2;
        sum += own * right;
        smoothed += own * (0.9 * right + 0.1 * mean);
      }
      for (Head one : List.of(head, head.copy())) {
        Tensor logits = Torch.floats(scores, 3, 2);
        assertEquals(sum / 3, one.loss(logits, one.targets(targets)).item_float(), 1e-6);
        assertEquals(smoothed / 3, one.loss(logits, one.targets(targets), 0.1).item_float(), 1e-6);
        Evaluation evaluation = Evaluation.of(new Predictions(one.schema(), scores), targets);
        assertEquals(smoothed / 3, one.objective(evaluation, targets, 0.1), 1e-6);
      }
    }
  }
}
