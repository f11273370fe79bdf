package org.prunepeft.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ScheduleTest {
  private static final double EXACT = 1e-12;

  @ParameterizedTest
  @EnumSource
  void rateRisesInEqualPartsToItsPeakOverTheWarmUp(Schedule schedule) {
    for (int step = 0; step < 4; step++) {
      assertEquals((step + 1) / 4.0, schedule.factor(step, 10, 4), EXACT);
    }
    assertEquals(1, schedule.factor(4, 10, 4), EXACT);
  }

  @ParameterizedTest
  @EnumSource
  void withoutWarmUpItBeginsAtItsPeak(Schedule schedule) {
    assertEquals(1, schedule.factor(0, 10, 0), EXACT);
  }

  @Test
  void namesAreHuggingFaces() {
    assertEquals(Schedule.CONSTANT, Schedule.byName("constant_with_warmup"));
    assertEquals(Schedule.COSINE, Schedule.byName("COSINE"));
    assertEquals(OptimizerType.ADAMW, OptimizerType.byName("adamw_torch"));
    assertEquals(OptimizerType.ADAFACTOR, OptimizerType.byName("adafactor"));
  }

  @Test
  void afterTheWarmUpItStaysOrFallsToZeroAtTheEnd() {
    // A third and two thirds of the way from step 4 to step 10.
    assertEquals(1, Schedule.CONSTANT.factor(9, 10, 4), EXACT);
    assertEquals(2.0 / 3, Schedule.LINEAR.factor(6, 10, 4), EXACT);
    assertEquals(0, Schedule.LINEAR.factor(10, 10, 4), EXACT);
    assertEquals(0.75, Schedule.COSINE.factor(6, 10, 4), EXACT);
    assertEquals(0.25, Schedule.COSINE.factor(8, 10, 4), EXACT);
    assertEquals(0, Schedule.COSINE.factor(10, 10, 4), EXACT);
  }

  @Test
  void warmUpStepsStandBeforeTheWarmUpRatio() {
    TrainingSettings ratio = TrainingSettings.builder().warmupRatio(0.25).build();
    TrainingSettings steps = ratio.with().warmupSteps(2).build();
    // A quarter of 99 steps, rounded up, is 25.
    assertEquals(1.0 / 25, ratio.rateFactor(0, 99), EXACT);
    assertEquals(1, ratio.rateFactor(24, 99), EXACT);
    assertEquals(1.0 / 2, steps.rateFactor(0, 99), EXACT);
    assertEquals(1, steps.rateFactor(1, 99), EXACT);
  }

  @Test
  void warmUpOfAShortTrainingIsTwentyStepsOrAThirdOfIt() {
    TrainingSettings usual = TrainingSettings.DEFAULT;
    // A third of 10 steps, rounded up, is 4.
    assertEquals(1.0 / 4, usual.rateFactor(0, 10), EXACT);
    assertEquals(1, usual.rateFactor(3, 10), EXACT);
    assertEquals(1.0 / 20, usual.rateFactor(0, 200), EXACT);
    assertEquals(1.0 / 60, usual.rateFactor(0, 1000), EXACT);
    assertEquals(1, usual.rateFactor(0, 1), EXACT);
    assertEquals(1, usual.with().warmupRatio(0).build().rateFactor(0, 10), EXACT);
  }

  @Test
  void warmUpLongerThanTheTrainingOnlyRises() {
    assertEquals(0.1, Schedule.LINEAR.factor(9, 10, 100), EXACT);
  }
}
