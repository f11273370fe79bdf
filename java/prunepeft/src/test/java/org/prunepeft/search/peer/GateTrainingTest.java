package org.prunepeft.search.peer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.testing.TestSeed;

class GateTrainingTest {
  private static final SearchSpace MIXED =
      new SearchSpace(
          3,
          List.of(
              new Candidate("a", 0, Candidate.LORA, 10),
              new Candidate("b", 1, Candidate.ADAPTER, 70),
              new Candidate("c", 2, Candidate.LORA, 20)));

  private static float[] gradients(int count, Random random) {
    float[] gradients = new float[count];
    for (int i = 0; i < count; i++) {
      gradients[i] = (float) random.nextGaussian();
    }
    return gradients;
  }

  @Test
  void theParametersBehindOpenGatesAreTheBudgetAfterEachStep() {
    Random random = TestSeed.random();
    GateTraining gates = new GateTraining(MIXED, 30, 0.3, random.nextLong());
    for (int step = 0; step < 50; step++) {
      double[] open = gates.probabilities();
      assertEquals(30, 10 * open[0] + 70 * open[1] + 20 * open[2], 1e-9, "step " + step);
      gates.update(gradients(3, random));
    }
    assertTrue(Arrays.stream(gates.probabilities()).distinct().count() > 1);
  }

  @Test
  void aGateOpensWhereTheLossFallsWithItAndTheOthersClose() {
    GateTraining gates = new GateTraining(Modules.alike(4), 200, 0.1, TestSeed.draw());
    double[] before = gates.probabilities();
    assertArrayEquals(new double[] {0.5, 0.5, 0.5, 0.5}, before, 1e-9);
    for (int step = 0; step < 40; step++) {
      gates.update(new float[] {-1, 1, -1, 1});
    }
    double[] open = gates.probabilities();
    assertTrue(open[0] > 0.9 && open[2] > 0.9, Arrays.toString(open));
    assertTrue(open[1] < 0.1 && open[3] < 0.1, Arrays.toString(open));
  }

  /** A binary concrete variable is above one half just as often as its gate is open. */
  @Test
  void valuesAreAboveOneHalfWithTheProbabilityOfTheGate() {
    GateTraining gates = new GateTraining(Modules.alike(4), 100, 1e-12, TestSeed.draw());
    int above = 0;
    int steps = 5000;
    for (int step = 0; step < steps; step++) {
      for (float value : gates.values()) {
        above += value > 0.5 ? 1 : 0;
        assertTrue(value >= 0 && value <= 1);
      }
      gates.update(new float[4]);
    }
    // Six standard deviations of a share of 20,000 draws.
    assertEquals(0.25, above / (4.0 * steps), 6 * Math.sqrt(0.25 * 0.75 / (4 * steps)));
  }

  @Test
  void aRestoredTrainingGoesOnToTheBit() {
    Random random = TestSeed.random();
    long seed = random.nextLong();
    GateTraining whole = new GateTraining(MIXED, 30, 0.1, seed);
    GateTraining cut = new GateTraining(MIXED, 30, 0.1, seed);
    for (int step = 0; step < 10; step++) {
      float[] gradients = gradients(3, random);
      whole.update(gradients);
      cut.update(gradients);
      GateTraining next = new GateTraining(MIXED, 30, 0.1, seed);
      next.restore(cut.state());
      cut = next;
      assertArrayEquals(whole.values(), cut.values());
    }
    assertArrayEquals(whole.probabilities(), cut.probabilities());
    GateTraining other = cut;
    assertThrows(IllegalArgumentException.class, () -> other.restore(new double[4]));
  }

  @Test
  void noiseIsAnotherInEachStepAndWithEachSeed() {
    GateTraining gates = new GateTraining(MIXED, 30, 0.1, 1);
    float[] first = gates.values();
    assertArrayEquals(first, new GateTraining(MIXED, 30, 0.1, 1).values());
    assertFalse(Arrays.equals(first, new GateTraining(MIXED, 30, 0.1, 2).values()));
    gates.update(new float[3]);
    assertFalse(Arrays.equals(first, gates.values()));
  }

  @Test
  void gradientsThatAreNotAllFiniteAreRefusedAndChangeNoGate() {
    GateTraining gates = new GateTraining(MIXED, 30, 0.1, TestSeed.draw());
    gates.update(new float[] {1, 2, -3});
    double[] before = gates.probabilities();
    float[] values = gates.values();
    String said =
        assertThrows(
                IllegalArgumentException.class, () -> gates.update(new float[] {1, Float.NaN, 1}))
            .getMessage();
    assertEquals(
        "gradient of the gate on %s is NaN".formatted(gates.modules().get(1).name()), said);
    assertArrayEquals(values, gates.values());
    assertArrayEquals(before, gates.probabilities());
  }

  @Test
  void aBudgetThatHasRoomForAllIsNoTrouble() {
    GateTraining gates = new GateTraining(MIXED, 100, 0.1, TestSeed.draw());
    gates.update(new float[] {1, 2, -3});
    for (double open : gates.probabilities()) {
      assertTrue(open > 0.5 && open < 1, "" + open);
    }
  }

  @Test
  void aLearningRateOfZeroIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new GateTraining(MIXED, 30, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> new GateSearch(Double.NaN, 1));
  }
}
