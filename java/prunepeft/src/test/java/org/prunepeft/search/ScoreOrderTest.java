package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ScoreOrderTest {
  private static final SearchSpace SPACE =
      new SearchSpace(
          4,
          List.of(
              new Candidate("a", 0, Candidate.LORA, 10),
              new Candidate("b", 1, Candidate.LORA, 10),
              new Candidate("c", 2, Candidate.ADAPTER, 30),
              new Candidate("d", 3, Candidate.LORA, 10)));

  private static List<String> kept(long budget, Map<String, Double> scores, long seed) {
    return ScoreOrder.keep(SPACE, budget, scores, seed).stream().map(Candidate::name).toList();
  }

  @Test
  void theHighestScoresStayAsLongAsTheyFitTheBudget() {
    Map<String, Double> scores = Map.of("a", 0.5, "b", -1.0, "c", 0.6, "d", 0.4);
    assertEquals(List.of("a", "c", "d"), kept(50, scores, 0));
    assertEquals(List.of("a", "c"), kept(49, scores, 0));
    assertEquals(List.of("c"), kept(30, scores, 0));
    // What is kept is never larger than the budget, however high its score.
    assertEquals(List.of("a", "d"), kept(29, scores, 0));
  }

  @Test
  void whatALargeModuleLeavesRoomForIsTaken() {
    Map<String, Double> scores = Map.of("a", 0.1, "b", 0.9, "c", 0.6, "d", 0.2);
    // c does not fit beside b, but d and a do.
    assertEquals(List.of("a", "b", "d"), kept(35, scores, 0));
  }

  @Test
  void theSeedDecidesBetweenEqualScores() {
    Map<String, Double> scores = Map.of("a", 1.0, "b", 1.0, "c", 0.0, "d", 1.0);
    Set<List<String>> seen = new HashSet<>();
    for (long seed = 0; seed < 40; seed++) {
      assertEquals(kept(20, scores, seed), kept(20, scores, seed));
      seen.add(kept(20, scores, seed));
    }
    assertEquals(Set.of(List.of("a", "b"), List.of("a", "d"), List.of("b", "d")), seen);
  }

  @Test
  void aModuleWithoutAScoreIsRefusedByName() {
    Map<String, Double> some = Map.of("a", 1.0, "c", 1.0, "d", 1.0);
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> kept(20, some, 0))
            .getMessage()
            .endsWith("got none of b"));
    Map<String, Double> broken = Map.of("a", 1.0, "b", Double.NaN, "c", 1.0, "d", 1.0);
    assertThrows(ArithmeticException.class, () -> kept(20, broken, 0));
  }
}
