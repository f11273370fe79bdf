package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.prunepeft.settings.MeasuringSettings.Sizes;

class MeasuringSettingsTest {
  private static Sizes sizes(int examples, int validation, int epochs) {
    return MeasuringSettings.DEFAULT.sizes(examples, validation, epochs, 32, 12);
  }

  @Test
  void aLargeTaskStaysWithinItsShare() {
    for (int examples : new int[] {4000, 20_000, 100_000}) {
      for (int epochs : new int[] {8, 20}) {
        Sizes sizes = sizes(examples, 2000, epochs);
        double trained = (double) sizes.supernetExamples() * sizes.supernetEpochs();
        double passes = (double) sizes.subsets() * sizes.measuredExamples() / 8;
        double share = (trained + passes) / ((double) examples * epochs);
        // Epochs are whole.
        assertTrue(
            share <= MeasuringSettings.DEFAULT.searchShare() + 1.0 / epochs, () -> "" + sizes);
      }
    }
    assertEquals(4, sizes(4000, 2000, 8).supernetEpochs());
    assertEquals(4, sizes(4000, 2000, 8).retrainingEpochs());
  }

  @Test
  void aSmallSupernetHasEnoughStepsButNoMoreThanTheRunsEpochs() {
    assertEquals(3, sizes(2000, 500, 5).supernetEpochs());
    assertEquals(5, sizes(800, 500, 5).supernetEpochs());
    assertEquals(500, sizes(800, 500, 5).measuredExamples());
    assertEquals(51, sizes(800, 500, 5).subsets());
    assertEquals(120, sizes(800, 120, 5).measuredExamples());
    // 60 steps of 32 are the least.
    assertEquals(20, sizes(96, 50, 1).supernetEpochs());
  }

  @Test
  void aSmallShareOfALargeTaskTrainsOnAPartOfIt() {
    Sizes sizes = MeasuringSettings.DEFAULT.withSearchShare(0.01).sizes(100_000, 2000, 10, 32, 12);
    assertEquals(7500, sizes.supernetExamples());
    assertEquals(1, sizes.supernetEpochs());
  }

  @Test
  void moreCandidatesTakeMoreSubsetsWithinTheShare() {
    Sizes few = MeasuringSettings.DEFAULT.sizes(4000, 2000, 8, 32, 12);
    Sizes many = MeasuringSettings.DEFAULT.sizes(4000, 2000, 8, 32, 96);
    assertEquals(48, few.subsets());
    assertEquals(1000, few.measuredExamples());
    assertEquals(144, many.subsets());
    assertEquals(333, many.measuredExamples());
    assertEquals(400, MeasuringSettings.DEFAULT.sizes(20_000, 2000, 20, 32, 300).subsets());
  }

  @Test
  void whatFewValidationExamplesLeaveGoesIntoMoreSubsets() {
    Sizes sizes = MeasuringSettings.DEFAULT.sizes(4000, 250, 8, 32, 12);
    assertEquals(250, sizes.measuredExamples());
    assertEquals(192, sizes.subsets());
  }

  @Test
  void theMeasuringTakesNoLongerThanTheSupernet() {
    // As of a language model, whose rows are few.
    Sizes sizes = MeasuringSettings.DEFAULT.sizes(4000, 1000, 1, 8, 12);
    double trained = (double) sizes.supernetExamples() * sizes.supernetEpochs();
    double passes = (double) sizes.subsets() * sizes.measuredExamples();
    assertTrue(passes / 8 <= trained, () -> "" + sizes);
  }

  @Test
  void withoutAWarmStartItIsTrainedForAllEpochs() {
    assertEquals(
        8,
        MeasuringSettings.DEFAULT
            .withWarmStart(false)
            .sizes(4000, 500, 8, 32, 12)
            .retrainingEpochs());
  }
}
