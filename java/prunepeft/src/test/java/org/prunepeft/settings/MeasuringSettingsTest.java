package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.prunepeft.settings.MeasuringSettings.Plan;

class MeasuringSettingsTest {
  private static Plan plan(int examples, int validation, int epochs) {
    return MeasuringSettings.DEFAULT.plan(examples, validation, epochs, 32);
  }

  @Test
  void aLargeTaskStaysWithinItsShare() {
    for (int examples : new int[] {4000, 20_000, 100_000}) {
      for (int epochs : new int[] {8, 20}) {
        Plan plan = plan(examples, 2000, epochs);
        double trained = (double) plan.supernetExamples() * plan.supernetEpochs();
        double passes = (double) plan.subsets() * plan.measuredExamples() / 4;
        double share = (trained + passes) / ((double) examples * epochs);
        // Epochs are whole.
        assertTrue(
            share <= MeasuringSettings.DEFAULT.searchShare() + 1.0 / epochs, () -> "" + plan);
      }
    }
    assertEquals(4, plan(4000, 2000, 8).supernetEpochs());
    assertEquals(4, plan(4000, 2000, 8).retrainingEpochs());
  }

  @Test
  void aSmallSupernetHasEnoughStepsButNoMoreThanTheRunsEpochs() {
    assertEquals(3, plan(2000, 500, 5).supernetEpochs());
    assertEquals(5, plan(800, 500, 5).supernetEpochs());
    assertEquals(400, plan(800, 500, 5).measuredExamples());
    assertEquals(120, plan(800, 120, 5).measuredExamples());
    assertEquals(32, plan(800, 500, 5).subsets());
    // 60 steps of 32 are the least.
    assertEquals(20, plan(96, 50, 1).supernetEpochs());
  }

  @Test
  void aSmallShareOfALargeTaskTrainsOnAPartOfIt() {
    Plan plan = MeasuringSettings.DEFAULT.withSearchShare(0.01).plan(100_000, 2000, 10, 32);
    assertEquals(7500, plan.supernetExamples());
    assertEquals(1, plan.supernetEpochs());
  }

  @Test
  void withoutAWarmStartItIsTrainedForAllEpochs() {
    assertEquals(
        8,
        MeasuringSettings.DEFAULT.withWarmStart(false).plan(4000, 500, 8, 32).retrainingEpochs());
  }
}
