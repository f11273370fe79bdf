package org.prunepeft.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.testing.TestSeed;

class PairedDifferenceTest {
  private static final Schema SCHEMA = Schema.classification(List.of("a", "b"));

  /** Right where it says so; gold is class 0. */
  private static Predictions right(boolean... right) {
    float[] outputs = new float[2 * right.length];
    for (int i = 0; i < right.length; i++) {
      outputs[2 * i + (right[i] ? 0 : 1)] = 1;
    }
    return new Predictions(SCHEMA, outputs);
  }

  /** Of the paired bootstrap; enough that its quantiles are near those of a normal distribution. */
  private static final int DRAWS = 10_000;

  /**
   * How far a bootstrap's 2.5 % quantile may be from the normal distribution's: five standard
   * errors of a quantile of so many draws, one example more or less, and how skewed a mean of 500
   * is.
   */
  private static double limit(int n, double error, int draws) {
    double density = Math.exp(-1.96 * 1.96 / 2) / Math.sqrt(2 * Math.PI);
    double ofDraws = Math.sqrt(0.025 * 0.975 / draws) / density;
    return (5 * ofDraws + 0.06) * error + 1.0 / n;
  }

  private static PairedDifference of(boolean[] first, boolean[] second) {
    return PairedDifference.of(
        Metric.ACCURACY, right(first), right(second), new double[first.length], DRAWS);
  }

  @Test
  void theSamePredictionsDifferByNothing() {
    boolean[] one = {true, false, true, true};
    assertEquals(new PairedDifference(0, 0, 0), of(one, one));
  }

  @Test
  void oneDrawHasNoWidth() {
    Predictions first = right(true, false, true, true, false, true, false, true);
    Predictions second = right(false, true, true, false, true, true, false, false);
    PairedDifference one = PairedDifference.of(Metric.ACCURACY, first, second, new double[8], 1);
    assertEquals(one.low(), one.high());
    PairedDifference many =
        PairedDifference.of(Metric.ACCURACY, first, second, new double[8], Bootstrap.DRAWS);
    assertEquals(many.difference(), one.difference());
    assertTrue(many.low() < many.high());
  }

  /** Of n pairs of which g more are right and l less, the error is about √(g + l) / n. */
  @Test
  void aGainIsHeldAgainstItsStandardError() {
    assertTrue(gain(12, 4).exceedsItsError());
    assertFalse(gain(9, 6).exceedsItsError());
    assertFalse(gain(4, 12).exceedsItsError());
    assertFalse(gain(0, 0).exceedsItsError());
  }

  @Test
  void lossesAreComparedByExample() {
    Random random = TestSeed.random();
    int n = 400;
    double[] targets = new double[n];
    float[] first = new float[2 * n];
    float[] second = new float[2 * n];
    for (int i = 0; i < n; i++) {
      first[2 * i] = (float) random.nextGaussian();
      // Further from class 0 in the mean, which is right.
      second[2 * i] = first[2 * i] - 0.1f - 0.1f * (float) random.nextGaussian();
    }
    Predictions nearer = new Predictions(SCHEMA, first);
    Predictions further = new Predictions(SCHEMA, second);
    PairedDifference measured = PairedDifference.ofLosses(further, nearer, targets);
    assertEquals(further.loss(targets) - nearer.loss(targets), measured.difference(), 1e-12);
    assertTrue(measured.low() > 0 && measured.high() < 0.1);
    assertTrue(measured.exceedsItsError());
    assertFalse(PairedDifference.ofLosses(nearer, further, targets).exceedsItsError());
  }

  private static PairedDifference gain(int gained, int lost) {
    boolean[] first = new boolean[100];
    boolean[] second = new boolean[100];
    for (int i = 0; i < 100; i++) {
      first[i] = i >= gained + lost || i < gained;
      second[i] = i >= gained;
    }
    return of(first, second);
  }

  /** The interval of a mean of n independent differences is 1.96 standard errors wide each way. */
  @Test
  void theIntervalIsThatOfTheMeanDifference() {
    Random random = TestSeed.random();
    int n = 500;
    boolean[] first = new boolean[n];
    boolean[] second = new boolean[n];
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < n; i++) {
      first[i] = random.nextInt(10) < 8;
      // The same in most examples: the pairs make the interval narrow.
      second[i] = random.nextInt(10) == 0 ? !first[i] : first[i];
      int difference = (first[i] ? 1 : 0) - (second[i] ? 1 : 0);
      sum += difference;
      squares += difference * difference;
    }
    double mean = sum / n;
    double error = Math.sqrt((squares / n - mean * mean) / n);
    PairedDifference measured = of(first, second);
    assertEquals(mean, measured.difference(), 1e-12);
    double limit = limit(n, error, DRAWS);
    assertEquals(mean - 1.96 * error, measured.low(), limit);
    assertEquals(mean + 1.96 * error, measured.high(), limit);
    assertTrue(measured.low() < measured.high());
  }

  /** As the interval of a share of n is. */
  @Test
  void theIntervalOfAnAccuracyIsThatOfAShare() {
    Random random = TestSeed.random();
    int n = 500;
    boolean[] right = new boolean[n];
    int count = 0;
    for (int i = 0; i < n; i++) {
      right[i] = random.nextInt(10) < 8;
      count += right[i] ? 1 : 0;
    }
    double share = (double) count / n;
    double error = Math.sqrt(share * (1 - share) / n);
    MetricInterval measured = MetricInterval.of(Metric.ACCURACY, right(right), new double[n]);
    assertEquals(share, measured.value());
    double limit = limit(n, error, Bootstrap.DRAWS);
    assertEquals(share - 1.96 * error, measured.low(), limit);
    assertEquals(share + 1.96 * error, measured.high(), limit);
  }

  @Test
  void largeTestSetsAreDrawnLessOften() {
    assertEquals(
        List.of(1000, 1000, 500, 200),
        Stream.of(1, 5000, 10_000, 1_000_000).map(PairedDifference::draws).toList());
  }
}
