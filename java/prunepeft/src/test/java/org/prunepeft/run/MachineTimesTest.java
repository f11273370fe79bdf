package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class MachineTimesTest {
  /** The kept module's training counts 1,664,000 operations and 4,480 of validations. */
  private static MachineTimes of(double training, double supernet, double flop) {
    return MachineTimes.of(
        KnownRun.WORK,
        new MachineTimes.Taken(KnownRun.KEPT, 2, training, 2.88, 100, supernet, flop));
  }

  @Test
  void ratesAreThoseOfTheRunsOwnPasses() {
    MachineTimes alone = of(2.112, 0, 0);
    assertEquals(1e-4, alone.predictionRate(), 1e-12);
    assertEquals(1e-6, alone.trainingRate(), 1e-12);
    assertEquals(2e-6, of(2.112, 4.336, 1.336e6).trainingRate(), 1e-12);
  }

  @Test
  void ownTrainingIsPredictedAsItWas() {
    assertEquals(2.112, of(2.112, 0, 0).training(KnownRun.KEPT), 1e-9);
  }

  @Test
  void otherTrainingsArePredictedByTheirOperations() {
    assertEquals(2e-6 * 4_352_000 + 1e-4 * 8960, KnownRun.TIMES.training(KnownRun.ALL), 1e-9);
    assertEquals(2e-6 * 1_664_000 + 1e-4 * 4480, KnownRun.TIMES.training(KnownRun.KEPT), 1e-9);
    assertEquals(0.0256, KnownRun.TIMES.prediction(0), 1e-12);
    assertEquals(0.0320, KnownRun.TIMES.prediction(64), 1e-12);
  }

  @Test
  void validationsThatSeemLongerThanTheTrainingLeaveAPartOfIt() {
    assertEquals(0.02 / 1_664_000, of(0.2, 0, 0).trainingRate(), 1e-15);
  }
}
