package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.PruningRound.Information;

class PruningRoundTest {
  private static final Candidate MODULE = new Candidate("first", 0, Candidate.LORA, 8);

  private static PruningRound round(Map<String, Score> scores) {
    Partition partition = new Partition(Candidate.LORA, 1);
    return new PruningRound(
        new Stage(StageKind.ROUND, 1, true, 1),
        8,
        List.of(),
        List.of(new Panel(partition, Map.of("weight", 1.0), false)),
        List.of(new Verdict(MODULE, partition, scores, 1, 0)),
        List.of(),
        List.of(),
        List.of(MODULE),
        Information.RELIABLE,
        Optional.empty());
  }

  @Test
  void aVerdictHasAScoreByEachCriterionThatJudged() {
    Score score = new Score(0.5, 0, 0, 1);
    assertEquals(1, Standing.of(round(Map.of("weight", score, "zeros", score))).size());
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> round(Map.of("zeros", score)));
    assertEquals(
        "the verdict on first has no score by weight, which judged in its round", e.getMessage());
  }
}
