package org.prunepeft.study;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

class RanksTest {
  @Test
  void theBestIsFirstAndEqualOnesShareTheirMean() {
    assertArrayEquals(new double[] {3, 1.5, 1.5, 4}, Ranks.of(0.5, 0.9, 0.9, 0.1));
  }

  @Test
  void ranksAreAveragedOverTasks() {
    assertArrayEquals(
        new double[] {5.0 / 3, 2, 7.0 / 3},
        Ranks.average(
            List.of(
                new double[] {0.9, 0.8, 0.7},
                new double[] {0.5, 0.6, 0.4},
                new double[] {0.2, 0.1, 0.2 + 1e-9})),
        1e-12);
  }

  @Test
  void tasksWithOtherMethodsAreRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Ranks.average(List.of(new double[] {1, 2}, new double[] {1})));
    assertThrows(IllegalArgumentException.class, () -> Ranks.average(List.of()));
  }
}
