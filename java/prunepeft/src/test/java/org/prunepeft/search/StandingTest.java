package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Standing.Fate;

/** The cases of {@link IterativePruningTest}, whose probabilities are worked by hand. */
class StandingTest {
  private static final double CLOSE = 1e-6;

  private static List<Standing> standings(SearchSpace space, long budget, double... lora) {
    PruningRound round =
        IterativePruning.run(
                space,
                Strategy.single(Criteria.WEIGHT),
                PruningSettings.of(budget).withRounds(1),
                new Scores().set("weight", "lora", lora),
                SearchListener.NONE)
            .rounds()
            .get(0);
    return Standing.of(round);
  }

  private static List<String> names(List<Standing> standings) {
    return standings.stream().map(standing -> standing.verdict().module().name()).toList();
  }

  @Test
  void marginsAreTheDifferencesToTheNearestModuleBeyondTheCut() {
    List<Standing> standings = standings(Scores.loraOnly(3), 1, 1, 2, 5);
    assertEquals(List.of("lora.0", "lora.1", "lora.2"), names(standings));
    assertEquals(
        List.of(Fate.WENT, Fate.WENT, Fate.STAYED),
        standings.stream().map(Standing::fate).toList());
    assertEquals(1.406778 - 0.54266, standings.get(0).margin(), CLOSE);
    assertEquals(1.050562 - 0.54266, standings.get(1).margin(), CLOSE);
    assertEquals(0.54266 - 1.050562, standings.get(2).margin(), CLOSE);
    assertEquals("lora.1", standings.get(2).rival().orElseThrow().module().name());
    assertEquals(3, standings.get(2).place());
  }

  @Test
  void oneOfTwoEqualModulesWentByNothing() {
    List<Standing> standings = standings(Scores.loraOnly(3), 2, 2, 2, 5);
    assertEquals(Fate.WENT, standings.get(0).fate());
    assertEquals(0, standings.get(0).margin());
    assertEquals(0, standings.get(1).margin());
  }

  @Test
  void theLastThatFitsTheBudgetIsSparedAndIsNoRival() {
    // Only lora.0, which goes first, fits the budget; lora.1 and lora.2 do not.
    SearchSpace space =
        new SearchSpace(3, List.of(Scores.lora(0, 1), Scores.lora(1, 9), Scores.lora(2, 9)));
    List<Standing> standings = standings(space, 5, 1, 2, 5);
    Standing spared =
        standings.stream().filter(each -> each.fate() == Fate.SPARED).findFirst().orElseThrow();
    assertEquals("lora.0", spared.verdict().module().name());
    assertTrue(spared.rival().isEmpty() && Double.isNaN(spared.margin()));
    standings.stream()
        .filter(each -> each.fate() == Fate.WENT)
        .forEach(each -> assertTrue(each.rival().isEmpty() && Double.isNaN(each.margin())));
  }
}
