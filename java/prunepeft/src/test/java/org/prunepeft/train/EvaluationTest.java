package org.prunepeft.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

/** Evaluations against formulas that count and average in another way, and against LibTorch. */
class EvaluationTest {
  private static final double EXACT = 1e-12;

  private final Random random = TestSeed.random();

  private static Schema schema(int classes, Metric... metrics) {
    return new Schema(
        TaskKind.CLASSIFICATION,
        1,
        IntStream.range(0, classes).mapToObj(k -> "class " + k).toList(),
        List.of(metrics));
  }

  private float[] outputs(int n) {
    float[] outputs = new float[n];
    for (int i = 0; i < n; i++) {
      outputs[i] = (float) (3 * random.nextGaussian());
    }
    return outputs;
  }

  /** Predictions of which two in three are right. */
  private double[] targets(Predictions predictions, int classes) {
    return IntStream.range(0, predictions.size())
        .mapToDouble(i -> random.nextInt(3) > 0 ? predictions.label(i) : random.nextInt(classes))
        .toArray();
  }

  @Test
  void classMetricsAgreeWithTheConfusionMatrix() {
    for (int classes : new int[] {2, 3, 7}) {
      Schema schema =
          schema(classes, Metric.MATTHEWS_CORRELATION, Metric.ACCURACY, Metric.MACRO_F1);
      Predictions predictions = new Predictions(schema, outputs(211 * classes));
      double[] targets = targets(predictions, classes);
      Evaluation evaluation = Evaluation.of(predictions, targets);
      double[][] confusion = new double[classes][classes];
      for (int i = 0; i < targets.length; i++) {
        confusion[(int) targets[i]][predictions.label(i)]++;
      }

      double diagonal = 0;
      double f1 = 0;
      for (int k = 0; k < classes; k++) {
        double row = Arrays.stream(confusion[k]).sum();
        double column = 0;
        for (double[] gold : confusion) {
          column += gold[k];
        }
        double precision = confusion[k][k] / column;
        double recall = confusion[k][k] / row;
        f1 += 2 * precision * recall / (precision + recall) / classes;
        diagonal += confusion[k][k];
      }
      assertEquals(diagonal / targets.length, evaluation.metrics().get(Metric.ACCURACY), EXACT);
      assertEquals(f1, evaluation.metrics().get(Metric.MACRO_F1), EXACT);
      assertEquals(matthews(confusion), evaluation.primary(), EXACT);
      assertEquals(Metric.MATTHEWS_CORRELATION, evaluation.primaryMetric());
      assertEquals(targets.length, evaluation.examples());
    }
  }

  /** Gorodkin's sum over all triples of classes. */
  private static double matthews(double[][] c) {
    int n = c.length;
    double numerator = 0;
    for (int k = 0; k < n; k++) {
      for (int l = 0; l < n; l++) {
        for (int m = 0; m < n; m++) {
          numerator += c[k][k] * c[m][l] - c[l][k] * c[k][m];
        }
      }
    }
    double byGold = 0;
    double byPredicted = 0;
    for (int k = 0; k < n; k++) {
      double row = 0;
      double column = 0;
      double total = 0;
      for (int l = 0; l < n; l++) {
        row += c[k][l];
        column += c[l][k];
        total += Arrays.stream(c[l]).sum();
      }
      byGold += row * (total - row);
      byPredicted += column * (total - column);
    }
    return numerator / Math.sqrt(byGold) / Math.sqrt(byPredicted);
  }

  @Test
  void f1IsOfTheSecondClassAndTheCombinedScoreIsTheMean() {
    Schema schema = schema(2, Metric.ACCURACY_AND_F1, Metric.ACCURACY, Metric.F1);
    Predictions predictions = new Predictions(schema, outputs(2 * 301));
    double[] targets = targets(predictions, 2);
    double truePositives = 0;
    double falsePositives = 0;
    double falseNegatives = 0;
    double right = 0;
    for (int i = 0; i < targets.length; i++) {
      boolean positive = predictions.label(i) == 1;
      truePositives += positive && targets[i] == 1 ? 1 : 0;
      falsePositives += positive && targets[i] == 0 ? 1 : 0;
      falseNegatives += !positive && targets[i] == 1 ? 1 : 0;
      right += predictions.label(i) == targets[i] ? 1 : 0;
    }
    double precision = truePositives / (truePositives + falsePositives);
    double recall = truePositives / (truePositives + falseNegatives);
    double f1 = 2 / (1 / precision + 1 / recall);
    Evaluation evaluation = Evaluation.of(predictions, targets);
    assertEquals(f1, evaluation.metrics().get(Metric.F1), EXACT);
    assertEquals((f1 + right / targets.length) / 2, evaluation.primary(), EXACT);
  }

  @Test
  void f1IsZeroWhereNothingIsPositive() {
    assertEquals(0, Metrics.f1(new int[] {0, 0}, new int[] {0, 0}));
    assertEquals(1, Metrics.f1(new int[] {1, 0}, new int[] {1, 0}));
  }

  @Test
  void correlationsAgreeWithMomentsAndWithSquaredDifferencesOfRanks() {
    int n = 157;
    correlationsAgree(outputs(n));
    float[] tied = outputs(n);
    for (int i = 0; i < n; i++) {
      tied[i] = Math.round(tied[i]);
    }
    correlationsAgree(tied);
  }

  private void correlationsAgree(float[] outputs) {
    Schema schema =
        new Schema(
            TaskKind.REGRESSION,
            1,
            List.of(),
            List.of(Metric.PEARSON_AND_SPEARMAN, Metric.PEARSON, Metric.SPEARMAN));
    int n = outputs.length;
    Predictions predictions = new Predictions(schema, outputs);
    double[] y = predictions.values();
    double[] x = Arrays.stream(y).map(value -> value + 2 * random.nextGaussian()).toArray();
    Evaluation evaluation = Evaluation.of(predictions, x);

    double sx = 0;
    double sy = 0;
    double sxx = 0;
    double syy = 0;
    double sxy = 0;
    double[] rankX = ranks(x);
    double[] rankY = ranks(y);
    double d2 = 0;
    double squares = 0;
    for (int i = 0; i < n; i++) {
      sx += x[i];
      sy += y[i];
      sxx += x[i] * x[i];
      syy += y[i] * y[i];
      sxy += x[i] * y[i];
      double d = rankX[i] - rankY[i];
      d2 += d * d;
      squares += (x[i] - y[i]) * (x[i] - y[i]);
    }
    double pearson =
        (n * sxy - sx * sy) / Math.sqrt(n * sxx - sx * sx) / Math.sqrt(n * syy - sy * sy);
    // Kendall's formula, with what ties take from each sum of squares: outputs are floats, of which
    // two may be the same.
    double cube = n * (n * (double) n - 1) / 12;
    double squaresX = cube - lostToTies(x);
    double squaresY = cube - lostToTies(y);
    double spearman = (squaresX + squaresY - d2) / (2 * Math.sqrt(squaresX * squaresY));
    assertEquals(pearson, evaluation.metrics().get(Metric.PEARSON), 1e-10);
    assertEquals(spearman, evaluation.metrics().get(Metric.SPEARMAN), 1e-10);
    assertEquals((pearson + spearman) / 2, evaluation.primary(), 1e-10);
    assertEquals(squares / n, evaluation.loss(), 1e-10);
  }

  /** How many are smaller and half of how many others are the same: ties share their mean rank. */
  private static double[] ranks(double[] values) {
    return Arrays.stream(values)
        .map(
            own ->
                Arrays.stream(values).map(other -> other < own ? 1 : other == own ? 0.5 : 0).sum()
                    - 0.5)
        .toArray();
  }

  /** (t³ - t) / 12 over each group of t equal values. */
  private static double lostToTies(double[] values) {
    // Each of a group's t members has t² - 1.
    return Arrays.stream(values)
            .map(own -> Math.pow(Arrays.stream(values).filter(v -> v == own).count(), 2) - 1)
            .sum()
        / 12;
  }

  @Test
  void lossAndProbabilitiesAreThoseOfLibTorch() {
    int classes = 5;
    int n = 83;
    float[] outputs = outputs(n * classes);
    // Where exp overflows and underflows.
    outputs[0] = 200;
    outputs[1] = -200;
    Predictions predictions = new Predictions(schema(classes, Metric.ACCURACY), outputs);
    double[] targets = targets(predictions, classes);
    try (PointerScope scope = new PointerScope()) {
      Tensor logits = Torch.floats(outputs, n, classes);
      Tensor gold = Torch.longs(Arrays.stream(targets).mapToLong(t -> (long) t).toArray(), n);
      // LibTorch's: a sum over the classes, one over the examples; of logits, and of their
      // logarithms, which are as large at most.
      double share = Rounding.gamma(classes + n + 8, Rounding.FLOAT32);
      double sizes = 0;
      for (int i = 0; i < n; i++) {
        double size = Rounding.largest(Arrays.copyOfRange(outputs, i * classes, (i + 1) * classes));
        sizes += (1 + 2 * size) / n;
      }
      Rounding.assertNear(
          torch.cross_entropy_loss(logits, gold).item_double(),
          Evaluation.of(predictions, targets).loss(),
          share * sizes,
          "loss");
      float[] softmax = Torch.toFloats(torch.softmax(logits, 1));
      for (int i = 0; i < n; i++) {
        double[] probabilities = predictions.probabilities(i);
        for (int k = 0; k < classes; k++) {
          // A probability is off by its logit's distance to the largest too; what is no normal
          // number is 0 to some.
          double p = probabilities[k];
          double limit =
              Rounding.gamma(classes + 8, Rounding.FLOAT32)
                      * p
                      * (1 - Math.log(Math.max(p, 1e-300)))
                  + Float.MIN_NORMAL;
          Rounding.assertNear(softmax[i * classes + k], p, limit, "probability");
        }
        assertEquals(1, Arrays.stream(probabilities).sum(), EXACT);
      }
    }
  }

  @Test
  void labelIsTheHighestScoreAndTheFirstOfSeveral() {
    Predictions predictions =
        new Predictions(schema(3, Metric.ACCURACY), new float[] {1, 3, 2, 4, 4, 4, -1, -3, -1});
    assertArrayEquals(new int[] {1, 0, 0}, predictions.labels());
  }

  @Test
  void textNamesTheMetrics() {
    Predictions predictions =
        new Predictions(
            schema(2, Metric.MATTHEWS_CORRELATION, Metric.ACCURACY),
            new float[] {1, 0, 0, 1, 0, 1});
    Evaluation evaluation = Evaluation.of(predictions, new double[] {0, 1, 0});
    assertEquals("Matthews correlation 0.5000", evaluation.primaryText());
    assertEquals("Matthews correlation 0.5000, accuracy 66.67 %", evaluation.text());
  }

  @Test
  void whatTheTaskDoesNotTellIsRefused() {
    Predictions classes = new Predictions(schema(2, Metric.ACCURACY), new float[] {1, 0});
    Predictions numbers = new Predictions(Schema.regression(), new float[] {1, 0});
    assertThrows(IllegalStateException.class, () -> classes.value(0));
    assertThrows(IllegalStateException.class, () -> numbers.label(0));
    assertThrows(IllegalStateException.class, () -> numbers.probabilities(0));
    assertThrows(
        IllegalArgumentException.class,
        () -> new Predictions(schema(2, Metric.ACCURACY), new float[3]));
  }

  @Test
  void unlabelledExampleIsNamed() {
    Predictions numbers = new Predictions(Schema.regression(), new float[] {1, 0});
    Exception e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Evaluation.of(numbers, new double[] {1, Double.NaN}));
    assertEquals("example 1 has no label to compare with", e.getMessage());
  }
}
