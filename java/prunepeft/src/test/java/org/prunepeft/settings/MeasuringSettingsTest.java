package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.settings.MeasuringSettings.Sizes;

class MeasuringSettingsTest {
  private static Sizes sizes(int examples, int validation, int epochs) {
    return MeasuringSettings.DEFAULT.sizes(examples, validation, epochs, 32, 12);
  }

  /** As a share of the supernet's training: four passes of a subset are a step of an example. */
  private static double share(Sizes sizes, int examples, int epochs) {
    double passes = (double) sizes.subsets() * sizes.measuredExamples() / 4;
    double trained = (double) sizes.supernetExamples() * sizes.supernetEpochs();
    return (trained + passes) / ((double) examples * epochs);
  }

  @Test
  void aLargeTaskStaysWithinItsShare() {
    for (double share : new double[] {0.1, 0.3, 0.65}) {
      for (int examples : new int[] {4000, 20_000, 100_000}) {
        for (int epochs : new int[] {8, 20}) {
          if (share * examples * epochs < 16_800) {
            continue; // Less than what a search takes at least.
          }
          Sizes sizes =
              MeasuringSettings.DEFAULT
                  .withSearchShare(share)
                  .sizes(examples, 2000, epochs, 32, 12);
          assertTrue(share(sizes, examples, epochs) <= share, () -> share + " " + sizes);
          assertTrue(
              sizes.supernetExamples() == examples || sizes.supernetEpochs() == 1,
              () -> "" + sizes);
        }
      }
    }
    assertEquals(2, sizes(4000, 2000, 8).supernetEpochs());
    assertEquals(1000, sizes(4000, 2000, 8).measuredExamples());
    assertEquals(4, sizes(4000, 2000, 8).warmEpochs());
  }

  @Test
  void aSmallSupernetHasEnoughStepsButNoMoreThanTheRunsEpochs() {
    assertEquals(3, sizes(2000, 500, 5).supernetEpochs());
    assertEquals(800, sizes(2000, 1000, 5).measuredExamples());
    assertEquals(5, sizes(800, 500, 5).supernetEpochs());
    assertEquals(500, sizes(800, 500, 5).measuredExamples());
    assertEquals(51, sizes(800, 500, 5).subsets());
    assertEquals(120, sizes(800, 120, 5).measuredExamples());
    // 60 steps of 32 are the least.
    assertEquals(20, sizes(96, 50, 1).supernetEpochs());
  }

  @Test
  void aSmallShareOfALargeTaskTrainsOnAPartOfIt() {
    Sizes sizes = MeasuringSettings.DEFAULT.withSearchShare(0.03).sizes(100_000, 2000, 10, 32, 12);
    assertEquals(18_000, sizes.supernetExamples());
    assertEquals(1, sizes.supernetEpochs());
    sizes = MeasuringSettings.DEFAULT.withSearchShare(0.001).sizes(100_000, 2000, 10, 32, 12);
    // 150 steps are the least.
    assertEquals(4800, sizes.supernetExamples());
    assertEquals(1, sizes.supernetEpochs());
  }

  @Test
  void theSupernetsSizeCanBeGiven() {
    MeasuringSettings given =
        MeasuringSettings.DEFAULT
            .withSupernetExamples(OptionalInt.of(1000))
            .withSupernetEpochs(OptionalInt.of(7));
    assertEquals(1000, given.sizes(4000, 2000, 8, 32, 12).supernetExamples());
    assertEquals(7, given.sizes(4000, 2000, 8, 32, 12).supernetEpochs());
    assertEquals(300, given.sizes(300, 2000, 8, 32, 12).supernetExamples());
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
  void theMeasuringOfASmallTaskIsBoundByItsSupernet() {
    for (int examples : new int[] {1000, 2000, 3000}) {
      Sizes sizes = sizes(examples, 1000, 2);
      double trained = (double) sizes.supernetExamples() * sizes.supernetEpochs();
      double passes = (double) sizes.subsets() * sizes.measuredExamples();
      assertTrue(passes / 4 <= 1.6 * trained, () -> "" + sizes);
    }
    // As of a language model, whose rows are few: 200 examples are the least.
    Sizes sizes = MeasuringSettings.DEFAULT.sizes(4000, 1000, 1, 8, 12);
    assertEquals(200, sizes.measuredExamples());
    assertEquals(1200, sizes.supernetExamples());
  }

  @Test
  void aSingleModuleLeavesNothingToChoose() {
    Candidate lora = new Candidate("layer.0.lora", 0, Candidate.LORA, 8);
    SearchSpace one = new SearchSpace(1, List.of(lora));
    assertEquals(
        "a measured search chooses among modules, and there is only layer.0.lora; give the search more of them, or train it alone",
        assertThrows(
                IllegalArgumentException.class, () -> MeasuringSettings.DEFAULT.requireChoice(one))
            .getMessage());
    MeasuringSettings.DEFAULT.withModuleSlices(OptionalInt.of(4)).requireChoice(one);
    Candidate adapter = new Candidate("layer.0.adapter", 0, Candidate.ADAPTER, 8);
    MeasuringSettings.DEFAULT.requireChoice(new SearchSpace(1, List.of(lora, adapter)));
  }

  @Test
  void fromNewWeightsItIsTrainedForAllEpochs() {
    Sizes sizes = sizes(4000, 500, 7);
    assertEquals(4, sizes.warmEpochs());
    assertEquals(7, sizes.newEpochs());
    sizes =
        MeasuringSettings.DEFAULT
            .withRetrainingEpochs(OptionalInt.of(3))
            .sizes(4000, 500, 8, 32, 12);
    assertEquals(3, sizes.warmEpochs());
    assertEquals(3, sizes.newEpochs());
  }
}
