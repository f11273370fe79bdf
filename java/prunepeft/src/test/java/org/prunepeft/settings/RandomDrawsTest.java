package org.prunepeft.settings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.RandomSelection;
import org.prunepeft.search.SearchSpace;

class RandomDrawsTest {
  private static final Budget QUARTER = Budget.share(0.25);

  private static final SearchSpace SPACE =
      new SearchSpace(
          24,
          IntStream.range(0, 24)
              .mapToObj(i -> new Candidate("encoder.layer." + i + ".lora", i, Candidate.LORA, 10))
              .toList());

  @Test
  void theFirstDrawIsTheSeedsOwnChoice() {
    assertEquals(RandomSelection.keep(SPACE, 60, 5), ModuleChoice.random(QUARTER).of(SPACE, 5));
    assertEquals(ModuleChoice.random(QUARTER), ModuleChoice.random(QUARTER, 0));
  }

  @Test
  void drawsOfSmallSeedsAreAllDifferent() {
    Set<List<Candidate>> choices = new HashSet<>();
    for (int seed = 0; seed < 5; seed++) {
      for (int draw = 0; draw < 10; draw++) {
        choices.add(ModuleChoice.random(QUARTER, draw).of(SPACE, seed));
      }
    }
    // Of 134,596 subsets of six two of these fifty are the same in one case of a hundred; not here.
    assertEquals(50, choices.size());
  }

  @Test
  void aDrawThatMeansNothingIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> ModuleChoice.random(QUARTER, -1));
    assertThrows(
        IllegalArgumentException.class,
        () -> new ModuleChoice(ModuleChoice.Kind.HEAD, List.of(), null, null, 1, null, null));
  }
}
