package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.search.Errors.assertIllegal;
import static org.prunepeft.search.Errors.assertIllegalMentions;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;

class WarmUpTest {
  private static final double[] UP = {1, 2, 3, 4, 5, 6};
  private static final double[] DOWN = {6, 5, 4, 3, 2, 1};
  private static final List<String> SIX =
      List.of("weight", "zeros", "threshold", "activation", "sensitivity", "gradient");

  /**
   * Twelve modules in six layers, blocks 1, 2, 2, 1; one module goes a turn. Each criterion sees
   * one type alone, so that the order of its removals is that of its scores:
   *
   * <pre>
   * weight       LoRA, smallest first, up:     layers 0, 1, 2  = lora/1 once, lora/2 twice
   * gradient     as weight
   * threshold    LoRA, largest first, up:      layers 5, 4, 3  = lora/4 once, lora/3 twice
   * zeros        adapters, smallest first, up: layers 0, 1, 2  = adapter/1 once, adapter/2 twice
   * activation   adapters, down:               layers 5, 4, 3  = adapter/4 once, adapter/3 twice
   * sensitivity  wholly tied: nothing
   * </pre>
   */
  private static Scores trainer() {
    return new Scores()
        .set("weight", "lora", UP)
        .set("gradient", "lora", UP)
        .set("threshold", "lora", UP)
        .set("zeros", "adapter", UP)
        .set("activation", "adapter", DOWN);
  }

  private static Strategy run(Scores scores) {
    return WarmUp.run(
        Scores.space(6), Criteria.six(), WarmUpSettings.DEFAULT, scores, SearchListener.NONE);
  }

  /** How many modules were removed of a type's blocks, in their order. */
  private static Map<Partition, Integer> tally(String type, int... byBlock) {
    Map<Partition, Integer> tally = new LinkedHashMap<>();
    for (int block = 1; block <= byBlock.length; block++) {
      tally.put(new Partition(type, block), byBlock[block - 1]);
    }
    return tally;
  }

  @Test
  void talliesCountRemovalsByPartition() {
    Map<String, Map<Partition, Integer>> tallies = run(trainer()).warmUp().get().tallies();
    assertEquals(SIX, List.copyOf(tallies.keySet()));
    Map<Partition, Integer> expected = tally("adapter", 0, 0, 0, 0);
    expected.putAll(tally("lora", 1, 2, 0, 0));
    assertEquals(expected, tallies.get("weight"));
    assertEquals(expected, tallies.get("gradient"));
    assertEquals(2, tallies.get("threshold").get(Partition.parse("lora/3")));
    assertEquals(1, tallies.get("threshold").get(Partition.parse("lora/4")));
    assertEquals(1, tallies.get("zeros").get(Partition.parse("adapter/1")));
    assertEquals(2, tallies.get("activation").get(Partition.parse("adapter/3")));
    assertTrue(tallies.get("sensitivity").values().stream().allMatch(count -> count == 0));
  }

  @Test
  void eachPartitionGetsTheCriteriaThatRemoveMostThere() {
    Strategy strategy = run(trainer());
    assertEquals(Strategy.Origin.WARM_UP, strategy.origin());
    Map<String, List<String>> expected = new LinkedHashMap<>();
    expected.put("adapter/1", List.of("zeros"));
    expected.put("adapter/2", List.of("zeros"));
    expected.put("adapter/3", List.of("activation"));
    expected.put("adapter/4", List.of("activation"));
    expected.put("lora/1", List.of("weight", "gradient"));
    expected.put("lora/2", List.of("weight", "gradient"));
    expected.put("lora/3", List.of("threshold"));
    expected.put("lora/4", List.of("threshold"));
    expected.forEach(
        (partition, criteria) ->
            assertEquals(criteria, strategy.criteriaOf(Partition.parse(partition)), partition));
  }

  @Test
  void trainingsAreSharedWhereTheSameModulesAreLeft() {
    Scores scores = trainer();
    Strategy strategy = run(scores);
    // Turn 1: all share the supernet. Turns 2 and 3: weight and gradient share one set; threshold,
    // zeros and activation have one each; sensitivity, which distinguished nothing, has no more
    // turns.
    assertEquals(1 + 4 + 4, scores.stages.size());
    assertEquals(9, strategy.warmUp().get().trainings());
    assertEquals(
        List.of(1L, 4L, 4L),
        List.of(1, 2, 3).stream()
            .map(turn -> scores.stages.stream().filter(s -> s.index() == turn).count())
            .toList());
    for (Stage stage : scores.stages) {
      assertEquals(new Stage(StageKind.WARM_UP, stage.index(), true), stage);
    }
    List<Object> asked = new ArrayList<>();
    for (int i = 0; i < scores.stages.size(); i++) {
      asked.add(List.of(scores.stages.get(i), scores.trained.get(i)));
    }
    assertEquals(asked.size(), new HashSet<>(asked).size());
    assertEquals(Scores.space(6).candidates(), scores.trained.get(0));
  }

  @Test
  void aCriterionAlsoGoesWhereItsOwnTallyIsHighest() {
    // P1: a has most, and it is where b has its own most. P2: c has most, which has more in P3.
    // P3: c. P4: nobody, so all.
    Map<String, Map<Partition, Integer>> tallies = new LinkedHashMap<>();
    tallies.put("weight", tally("lora", 5, 0, 0, 0));
    tallies.put("zeros", tally("lora", 4, 1, 0, 0));
    tallies.put("threshold", tally("lora", 0, 2, 3, 0));
    assertEquals(
        Map.of(
            Partition.parse("lora/1"), List.of("weight", "zeros"),
            Partition.parse("lora/2"), List.of("threshold"),
            Partition.parse("lora/3"), List.of("threshold"),
            Partition.parse("lora/4"), List.of("weight", "zeros", "threshold")),
        WarmUp.assignment(tallies));
  }

  @Test
  void criteriaThatTieShareAPartitionAndOneThatTiesWithItselfGetsSeveral() {
    Map<String, Map<Partition, Integer>> tallies = new LinkedHashMap<>();
    tallies.put("weight", tally("lora", 2, 1));
    tallies.put("zeros", tally("lora", 2, 2));
    tallies.put("gradient", tally("lora", 1, 1));
    assertEquals(
        Map.of(
            Partition.parse("lora/1"), List.of("weight", "zeros", "gradient"),
            Partition.parse("lora/2"), List.of("zeros", "gradient")),
        WarmUp.assignment(tallies));
  }

  @Test
  void withoutAnyInformationEachPartitionUsesAllCriteria() {
    Scores tied = new Scores();
    Strategy strategy = run(tied);
    assertEquals(1, tied.stages.size());
    for (Partition partition : Partitioning.SPINDLE.partitions(Scores.space(6))) {
      assertEquals(SIX, strategy.criteriaOf(partition));
    }
    assertTrue(strategy.warmUp().get().turns().stream().allMatch(turn -> turn.removed().isEmpty()));
  }

  private static WarmUpSettings removing(int modules) {
    return new WarmUpSettings(3, OptionalInt.of(modules), Partitioning.SPINDLE, 0.01, 3, 0);
  }

  @Test
  void aSixteenthOfTheModulesGoesEachTurn() {
    WarmUpSettings settings = WarmUpSettings.DEFAULT;
    // 48, 24 and 12 modules: 3, 1.5 rounded up, 0.75 rounded up; 2 modules: at least 1.
    assertEquals(3, settings.removedPerTurn(Scores.space(24)));
    assertEquals(2, settings.removedPerTurn(Scores.space(12)));
    assertEquals(1, settings.removedPerTurn(Scores.space(6)));
    assertEquals(1, settings.removedPerTurn(Scores.space(1)));
    assertEquals(5, removing(5).removedPerTurn(Scores.space(24)));
  }

  @Test
  void aTurnNeverRemovesTheLastModule() {
    Scores scores = new Scores().set("weight", "lora", 1, 2, 3);
    Strategy strategy =
        WarmUp.run(
            Scores.loraOnly(3), List.of(Criteria.WEIGHT), removing(5), scores, SearchListener.NONE);
    assertEquals(
        List.of(List.of("lora.0", "lora.1"), List.of()),
        strategy.warmUp().get().turns().stream().map(WarmUpTurn::removed).toList());
  }

  @Test
  void theRecordTellsWhatEachCriterionSaw() {
    WarmUpTurn second =
        run(trainer()).warmUp().get().turns().stream()
            .filter(turn -> turn.turn() == 2 && turn.criterion().equals("zeros"))
            .findFirst()
            .orElseThrow();
    assertEquals(List.of("adapter.1"), second.removed());
    // Adapters 2 to 6 are left: (6 − 2) / 4.
    assertEquals(1, second.readings().get(0).spread());
    assertEquals("adapter", second.readings().get(0).type());
    assertEquals(Reading.LeftOut.TIED, second.readings().get(1).leftOut().get());
  }

  @Test
  void theListenerHearsOfEachTurnAndMayCancel() {
    List<String> heard = new ArrayList<>();
    SearchListener listener =
        new SearchListener() {
          @Override
          public void turnStarted(int turn, int turns, int trainings) {
            heard.add(turn + "/" + turns + ": " + trainings);
          }

          @Override
          public void turnFinished(int turn, int turns, List<WarmUpTurn> chains) {
            heard.add(turn + " done by " + chains.size());
          }

          @Override
          public boolean cancelled() {
            return heard.size() == 3;
          }
        };
    assertThrows(
        CancellationException.class,
        () ->
            WarmUp.run(
                Scores.space(6), Criteria.six(), WarmUpSettings.DEFAULT, trainer(), listener));
    assertEquals(List.of("1/3: 1", "1 done by 6", "2/3: 4"), heard);
  }

  @Test
  void wrongSettingsAreRefused() {
    WarmUpSettings settings = WarmUpSettings.DEFAULT;
    assertIllegal(() -> settings.withTurns(0), "turns must be at least 1, got 0");
    assertIllegal(() -> removing(0), "modules removed in a turn must be at least 1, got 0");
    assertIllegal(
        () -> new WarmUpSettings(3, OptionalInt.empty(), Partitioning.SPINDLE, Double.NaN, 3, 0),
        "the spread threshold must be at least 0 and below 1, got NaN");
    assertIllegal(
        () ->
            new WarmUpSettings(
                3, OptionalInt.empty(), Partitioning.SPINDLE, 0.01, Double.POSITIVE_INFINITY, 0),
        "c must be a finite number, got Infinity");
    assertIllegalMentions(
        () -> WarmUp.run(Scores.space(2), List.of(), settings, new Scores(), SearchListener.NONE),
        "at least one criterion");
  }
}
