package org.prunepeft.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.testing.TestSeed;

/** Classes of unequal size: their weights, their threshold, how each is predicted. */
class ClassesTest {
  private static final Schema TWO =
      new Schema(TaskKind.CLASSIFICATION, 1, List.of("no", "yes"), List.of(Metric.F1));

  /** By the score of the second class over the first. */
  private static Predictions margins(double... margins) {
    float[] outputs = new float[2 * margins.length];
    for (int i = 0; i < margins.length; i++) {
      outputs[2 * i + 1] = (float) margins[i];
    }
    return new Predictions(TWO, outputs);
  }

  @Test
  void balancedClassesCountTheSameTogether() {
    double[] targets = {0, 0, 0, 1, 2, 2};
    Schema three = Schema.classification(List.of("a", "b", "c"));
    double[] weights = ClassWeights.BALANCED.of(three, targets);
    assertArrayEquals(new double[] {6 / 9.0, 2, 1}, weights, 1e-12);
    double[] own = ClassWeights.byName("1, 3,1").of(three, targets);
    assertArrayEquals(new double[] {0.75, 2.25, 0.75}, own, 1e-12);
    assertNull(ClassWeights.NONE.of(three, targets));
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "balanced", "1.0,2.5"})
  void weightsAreReadAsTheyAreWritten(String text) {
    assertEquals(text, ClassWeights.byName(text).toString());
  }

  @Test
  void weightsThatDoNotFitAreRefused() {
    double[] targets = {0, 1};
    for (String text : List.of("1,2,3", "1")) {
      ClassWeights weights = ClassWeights.byName(text);
      assertThrows(IllegalArgumentException.class, () -> weights.of(TWO, targets));
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> ClassWeights.BALANCED.of(Schema.regression(), targets));
    for (String text : List.of("equal", "1,0", "1,-2", "1,NaN")) {
      assertThrows(IllegalArgumentException.class, () -> ClassWeights.byName(text));
    }
  }

  @Test
  void theThresholdIsTheBestOfAllThatThereAre() {
    Random random = TestSeed.random();
    int n = 60;
    double[] targets = IntStream.range(0, n).mapToDouble(i -> i % 5 == 0 ? 1 : 0).toArray();
    double[] margins =
        IntStream.range(0, n)
            .mapToDouble(i -> (float) (targets[i] - 3 + random.nextGaussian()))
            .toArray();
    DecisionThreshold chosen = DecisionThreshold.choose(Metric.F1, margins(margins), targets);
    double best = 0;
    for (double cut : margins) {
      best = Math.max(best, f1(margins, targets, cut));
    }
    assertEquals(best, f1(margins, targets, chosen.margin()), 1e-12);
    if (best > f1(margins, targets, 0)) {
      assertTrue(chosen.margin() < 0, chosen.toString());
    }
  }

  private static double f1(double[] margins, double[] targets, double cut) {
    int[] predicted =
        IntStream.range(0, margins.length).map(i -> margins[i] > cut ? 1 : 0).toArray();
    int[] gold = IntStream.range(0, targets.length).map(i -> (int) targets[i]).toArray();
    return Metrics.f1(gold, predicted);
  }

  @Test
  void aThresholdThatGainsNothingIsOneHalf() {
    DecisionThreshold chosen =
        DecisionThreshold.choose(Metric.F1, margins(-1, -2, 1, 3), new double[] {0, 0, 1, 1});
    assertEquals(0.5, chosen.probability(), 1e-12);
    assertThrows(IllegalArgumentException.class, () -> DecisionThreshold.requireTwo(3));
  }

  @Test
  void eachClassHasItsPrecisionAndRecall() {
    ClassReport report =
        ClassReport.of(margins(1, 1, -1, -1, -1, 1), new double[] {1, 0, 0, 1, 1, 1});
    assertArrayEquals(new int[] {1, 1}, report.confusion()[0]);
    assertArrayEquals(new int[] {2, 2}, report.confusion()[1]);
    assertEquals(2 / 3.0, report.precision(1), 1e-12);
    assertEquals(0.5, report.recall(1), 1e-12);
    assertEquals(4 / 7.0, report.f1(1), 1e-12);
    assertEquals(1 / 3.0, report.precision(0), 1e-12);
    assertEquals(2, report.examples(0));
    assertThrows(
        IllegalArgumentException.class, () -> ClassReport.of(margins(1), new double[] {1, 0}));
  }

  /** Of every pair of a positive and a negative example, the share in the right order. */
  @Test
  void theAreaUnderTheCurveIsTheShareOfPairsInTheRightOrder() {
    Random random = TestSeed.random();
    int n = 40;
    double[] targets = IntStream.range(0, n).mapToDouble(i -> i % 3 == 0 ? 1 : 0).toArray();
    double[] margins =
        IntStream.range(0, n).mapToDouble(i -> random.nextInt(6) + targets[i]).toArray();
    double right = 0;
    int pairs = 0;
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        if (targets[i] == 1 && targets[j] == 0) {
          pairs++;
          right += margins[i] > margins[j] ? 1 : margins[i] == margins[j] ? 0.5 : 0;
        }
      }
    }
    assertEquals(right / pairs, Metrics.of(Metric.ROC_AUC, margins(margins), targets), 1e-12);
    assertEquals(0.5, Metrics.of(Metric.ROC_AUC, margins(1, 2), new double[] {1, 1}));
  }

  @Test
  void precisionAndRecallAreOfTheSecondClass() {
    double[] targets = {1, 0, 0, 1, 1, 1};
    Predictions predictions = margins(1, 1, -1, -1, -1, 1);
    assertEquals(2 / 3.0, Metrics.of(Metric.PRECISION, predictions, targets), 1e-12);
    assertEquals(0.5, Metrics.of(Metric.RECALL, predictions, targets), 1e-12);
    assertEquals(0, Metrics.of(Metric.PRECISION, margins(-1), new double[] {1}));
  }

  @Test
  void secondTextsAreRankedForEachFirst() {
    Schema pairs =
        new Schema(TaskKind.CLASSIFICATION, 2, List.of("no", "yes"), List.of(Metric.ACCURACY));
    List<Example> examples =
        List.of(
            new Example("q", "a", 0),
            new Example("r", "d", 1),
            new Example("q", "b", 1),
            new Example("q", "c", 1),
            new Example("r", "e", 0),
            new Example("none", "f", 0),
            new Example("none", "g", 0),
            new Example("alone", "h", 1));
    float[] outputs = new float[16];
    float[] scores = {2, 3, 3, 1, 1, 5, 4, 6};
    for (int i = 0; i < scores.length; i++) {
      outputs[2 * i + 1] = scores[i];
    }
    RankedPairs ranked = RankedPairs.of(examples, new Predictions(pairs, outputs)).orElseThrow();
    assertEquals(2, ranked.queries());
    // q: b right, a wrong, c right: (1 + 2/3) / 2; r: 1.
    assertEquals(((1 + 2 / 3.0) / 2 + 1) / 2, ranked.map(), 1e-12);
    assertEquals(1, ranked.mrr(), 1e-12);
    assertTrue(RankedPairs.of(examples, margins(scores[0])).isEmpty());
  }
}
