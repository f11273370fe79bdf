package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class RankingTest {
  @Test
  void tiesShareTheirMeanRank() {
    assertArrayEquals(
        new double[] {3, 0.5, 2, 0.5}, Ranking.descendingMeanRanks(new double[] {1, 9, 4, 9}));
    assertArrayEquals(
        new double[] {1, 1, 1}, Ranking.descendingMeanRanks(new double[] {-0.0, 0.0, 0.0}));
  }

  @Test
  void rankCorrelationWithoutTies() {
    // d = 1, 1, 0: 1 − 6·2 / (3·8) = 0.5.
    assertEquals(0.5, Ranking.spearman(new double[] {1, 2, 3}, new double[] {20, 10, 30}), 1e-15);
    assertEquals(1, Ranking.spearman(new double[] {1, 2, 9}, new double[] {-5, 0, 1}), 1e-15);
    assertEquals(-1, Ranking.spearman(new double[] {1, 2, 9}, new double[] {3, 2, 1}), 1e-15);
  }

  @Test
  void rankCorrelationWithTies() {
    // Ranks 0, 1.5, 1.5, 3 and 0, 2, 1, 3, both of mean 1.5. Products of deviations: 4.5; squares:
    // 4.5 and 5. 4.5 / √22.5 = 0.948683.
    assertEquals(
        0.9486832980505138,
        Ranking.spearman(new double[] {1, 2, 2, 3}, new double[] {1, 3, 2, 4}),
        1e-15);
  }

  @Test
  void valuesThatAreAllEqualCorrelateWithNothing() {
    assertEquals(0, Ranking.spearman(new double[] {1, 1, 1}, new double[] {1, 2, 3}));
  }
}
