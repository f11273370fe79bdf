package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.prunepeft.search.Errors.assertIllegal;
import static org.prunepeft.search.Errors.assertIllegalMentions;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

class StrategyTest {
  private static List<String> criteriaOfLayers(int layers, String type) {
    Strategy strategy = Strategy.authors();
    return Scores.space(layers).candidates().stream()
        .filter(module -> module.type().equals(type))
        .map(module -> Partitioning.SPINDLE.partitionOf(module, layers))
        .map(partition -> String.join("+", strategy.criteriaOf(partition)))
        .toList();
  }

  private static List<String> times(int[] times, String... values) {
    List<String> all = new ArrayList<>();
    for (int i = 0; i < times.length; i++) {
      for (int j = 0; j < times[i]; j++) {
        all.add(values[i]);
      }
    }
    return all;
  }

  @Test
  void theAuthorsStrategyOnSixAndTwentyFourLayers() {
    String[] lora = {"threshold+activation", "threshold", "zeros", "gradient"};
    String[] adapter = {
      "weight+zeros+activation+sensitivity",
      "weight+sensitivity",
      "weight+sensitivity",
      "sensitivity"
    };
    for (int[] blocks : List.of(new int[] {1, 2, 2, 1}, new int[] {4, 8, 8, 4})) {
      int layers = blocks[0] + blocks[1] + blocks[2] + blocks[3];
      assertEquals(times(blocks, lora), criteriaOfLayers(layers, "lora"));
      assertEquals(times(blocks, adapter), criteriaOfLayers(layers, "adapter"));
      Strategy.authors().requireCovers(Scores.space(layers));
    }
    Strategy.authors().requireCovers(Scores.space(2));
  }

  @Test
  void strategiesWithoutPartitionsJudgeEverywhereAlike() {
    assertEquals(List.of("gradient"), Strategy.single(Criteria.GRADIENT).criteria());
    assertEquals(
        List.of("gradient"),
        Strategy.single(Criteria.GRADIENT).criteriaOf(Partition.parse("anything/9")));
    assertEquals(6, Strategy.all().criteriaOf(Partition.parse("lora/1")).size());
  }

  @Test
  void strategiesByName() {
    assertEquals(Strategy.authors(), Strategy.byName("authors"));
    assertEquals(Strategy.all(), Strategy.byName("all"));
    assertEquals(Strategy.single(Criteria.ZEROS), Strategy.byName("zeros"));
    assertIllegalMentions(
        () -> Strategy.byName("author"),
        "unknown strategy 'author'; did you mean authors? Known are authors, all, weight, zeros");
  }

  @Test
  void everyStrategySurvivesTheRoundTrip() {
    Scores scores =
        new Scores()
            .set("weight", "lora", 1, 2, 3, 4, 5, 6)
            .set("gradient", "adapter", 1, 2, 3, 4, 5, 6)
            .setHalves(
                "gradient",
                "adapter",
                new double[] {1, 2, 3, 4, 5, 6},
                new double[] {2, 1, 3, 4, 6, 5});
    Strategy warmUp =
        WarmUp.run(
            Scores.space(6),
            Criteria.six(),
            WarmUpSettings.DEFAULT.withPartitioning(Partitioning.QUANTILE),
            scores,
            SearchListener.NONE);
    for (Strategy strategy :
        List.of(
            warmUp,
            Strategy.authors(),
            Strategy.authors().withPartitioning(Partitioning.QUANTILE),
            Strategy.single(Criteria.WEIGHT),
            Strategy.all())) {
      assertEquals(strategy, Strategy.fromMap(strategy.toMap()));
      assertEquals(strategy, Strategy.fromMap(reread(strategy.toMap())));
    }
    assertThrows(IllegalStateException.class, () -> warmUp.withPartitioning(Partitioning.SPINDLE));
  }

  /** As a JSON reader gives it: other classes of numbers, maps and lists. */
  private static Map<String, Object> reread(Map<?, ?> map) {
    Map<String, Object> copy = new LinkedHashMap<>();
    map.forEach((key, value) -> copy.put((String) key, rereadValue(value)));
    return copy;
  }

  private static Object rereadValue(Object value) {
    if (value instanceof Map<?, ?> map) {
      return reread(map);
    }
    if (value instanceof List<?> list) {
      List<Object> copy = new ArrayList<>();
      list.forEach(item -> copy.add(rereadValue(item)));
      return copy;
    }
    return value instanceof Integer number ? (Object) number.longValue() : value;
  }

  private static void assertRefused(Consumer<Map<String, Object>> change, String message) {
    Map<String, Object> map = reread(Strategy.authors().toMap());
    change.accept(map);
    assertIllegal(() -> Strategy.fromMap(map), message);
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> assignment(Map<String, Object> map) {
    return (Map<String, Object>) map.get("assignment");
  }

  @Test
  void whatIsWrongInAFileIsNamedByItsKey() {
    String six = "weight, zeros, threshold, activation, sensitivity, gradient";
    assertRefused(map -> map.remove("origin"), "origin: must be there");
    assertRefused(map -> map.put("version", 2), "version: must be 1, got 2");
    assertRefused(map -> map.put("version", 1.5), "version: must be an integer, got 1.5");
    assertRefused(
        map -> map.put("partitioning", "thirds"),
        "partitioning: must be one of [spindle, quantile], got 'thirds'");
    assertRefused(
        map -> map.put("criteria", List.of()),
        "criteria: must list at least one criterion, got none; known are " + Criteria.names());
    assertRefused(
        map -> map.put("assignement", Map.of()),
        "assignement: unknown key 'assignement'; did you mean assignment? Known are version,"
            + " origin, partitioning, criteria, assignment, warmUp");
    assertRefused(
        map -> assignment(map).put("lora/1", List.of("zeros", "zeroes")),
        "assignment.lora/1[1]: unknown criterion 'zeroes'; did you mean zeros? Known are " + six);
    assertRefused(
        map -> assignment(map).put("lora/1", List.of("zeros", "zeros")),
        "assignment.lora/1[1]: must be listed once, got 'zeros'");
    assertRefused(
        map -> assignment(map).put("lora/1", "zeros"),
        "assignment.lora/1: must be a list, got 'zeros'");
    assertRefused(
        map -> assignment(map).put("lora/1", List.of(3)),
        "assignment.lora/1[0]: must be a string, got 3");
    assertRefused(
        map -> assignment(map).put("lora", List.of("zeros")),
        "assignment.lora: a partition must be TYPE/BLOCK with blocks from 1, such as lora/1, got"
            + " 'lora'");
    assertRefused(
        map -> map.put("origin", "warm-up"),
        "warmUp: must be there if origin is warm-up; use origin custom without it");
    assertRefused(
        map -> map.put("warmUp", Map.of()),
        "warmUp: must be absent unless origin is warm-up, which is authors");
    assertRefused(map -> map.put("assignment", 7), "assignment: must be an object, got 7");
  }

  @Test
  void whatIsWrongInTheEvidenceIsNamedByItsKey() {
    Map<String, Object> map =
        reread(
            WarmUp.run(
                    Scores.space(6),
                    Criteria.six(),
                    WarmUpSettings.DEFAULT.withTurns(1),
                    new Scores(),
                    SearchListener.NONE)
                .toMap());
    Map<?, ?> warmUp = (Map<?, ?>) map.get("warmUp");
    Map<?, ?> turn = (Map<?, ?>) ((List<?>) warmUp.get("turns")).get(0);
    set(((List<?>) turn.get("readings")).get(1), "leftOut", "bored");
    assertIllegal(
        () -> Strategy.fromMap(map),
        "warmUp.turns[0].readings[1].leftOut: must be one of [one-module, tied, nearly-tied], got"
            + " 'bored'");
    set(((Map<?, ?>) warmUp.get("tallies")).get("weight"), "lora/2", -1);
    assertIllegal(
        () -> Strategy.fromMap(map), "warmUp.tallies.weight.lora/2: must be at least 0, got -1");
  }

  @SuppressWarnings("unchecked")
  private static void set(Object map, String key, Object value) {
    ((Map<String, Object>) map).put(key, value);
  }

  @Test
  void aStrategyIsValidated() {
    assertIllegal(
        () ->
            new Strategy(
                Strategy.Origin.CUSTOM,
                Partitioning.SPINDLE,
                List.of("weight"),
                Map.of(Partition.parse("lora/1"), List.of("zeros")),
                Optional.empty()),
        "a partition's criteria must be among the strategy's [weight], got zeros (lora/1)");
  }

  @Test
  void transferBetweenModelsOfFourBlocksKeepsEachPartitionsCriteria() {
    Strategy authors = Strategy.authors();
    for (int layers : new int[] {5, 6, 12, 24, 37}) {
      assertEquals(authors.assignment(), authors.transfer(24, layers).assignment());
    }
    assertEquals(Strategy.Origin.CUSTOM, authors.transfer(24, 12).origin());
    assertEquals(Strategy.all(), Strategy.all().transfer(24, 2));
  }

  @Test
  void transferToFewerBlocksTakesTheBlockOfTheMiddle() {
    for (Partitioning partitioning : Partitioning.values()) {
      for (int layers = 1; layers <= 40; layers++) {
        for (int target = 1; target <= 9; target++) {
          Strategy source = numbered(partitioning, layers);
          Strategy transferred = source.transfer(layers, target);
          Blocks to = partitioning.blocks(target);
          Blocks from = partitioning.blocks(layers);
          assertEquals(to.count(), transferred.assignment().size());
          int start = 0;
          for (int block = 1; block <= to.count(); block++) {
            int end = to.ends().get(block - 1);
            double middle = (start + end) / 2.0 / target;
            int expected =
                from.count() == to.count() ? block : from.blockOf((int) (middle * layers + 1e-9));
            assertEquals(
                source.criteriaOf(new Partition("lora", expected)),
                transferred.criteriaOf(new Partition("lora", block)),
                partitioning + " " + layers + " to " + target);
            start = end;
          }
        }
      }
    }
  }

  /** A strategy whose blocks have different criteria. */
  private static Strategy numbered(Partitioning partitioning, int layers) {
    List<String> names = Criteria.names();
    java.util.Map<Partition, List<String>> assignment = new java.util.LinkedHashMap<>();
    for (int block = 1; block <= partitioning.blocks(layers).count(); block++) {
      assignment.put(new Partition("lora", block), List.of(names.get(block)));
    }
    return new Strategy(
        Strategy.Origin.CUSTOM, partitioning, names, assignment, java.util.Optional.empty());
  }
}
