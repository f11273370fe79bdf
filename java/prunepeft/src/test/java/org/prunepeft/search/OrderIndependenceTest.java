package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.PruningSettings.Selection;
import org.prunepeft.search.PruningSettings.Weighting;
import org.prunepeft.testing.TestSeed;

/** Nothing depends on the order in which modules, criteria, partitions or statistics come. */
class OrderIndependenceTest {
  private static final int LAYERS = 24;

  /** Statistics from stage, set of modules and name alone; coarse, so that there are many ties. */
  private static Observation train(Stage stage, List<Candidate> modules) {
    List<Map<String, ModuleStatistics>> parts = new ArrayList<>();
    for (int part = 0; part < 3; part++) {
      Map<String, ModuleStatistics> statistics = new HashMap<>();
      for (Candidate module : modules) {
        long seed = SeededHash.of(stage.index() * 100 + modules.size() + part, module.name());
        Random random = new Random(seed);
        double[] s = random.doubles(10).map(value -> 1 + Math.floor(6 * value)).toArray();
        statistics.put(
            module.name(),
            new ModuleStatistics(1, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9]));
      }
      parts.add(statistics);
    }
    return new Observation(parts.get(0), parts.get(1), parts.get(2));
  }

  private static PruningResult search(
      List<Candidate> modules, List<Criterion> criteria, PruningSettings settings, Random random) {
    SearchSpace space = new SearchSpace(LAYERS, modules);
    Strategy strategy =
        WarmUp.run(
            space,
            criteria,
            WarmUpSettings.DEFAULT,
            OrderIndependenceTest::train,
            SearchListener.NONE);
    Map<Partition, List<String>> assignment = new LinkedHashMap<>();
    List<Partition> partitions = new ArrayList<>(strategy.assignment().keySet());
    Collections.shuffle(partitions, random);
    for (Partition partition : partitions) {
      List<String> assigned = new ArrayList<>(strategy.assignment().get(partition));
      Collections.shuffle(assigned, random);
      assignment.put(partition, assigned);
    }
    List<String> known = new ArrayList<>(strategy.criteria());
    Collections.shuffle(known, random);
    Strategy shuffled =
        new Strategy(
            strategy.origin(), strategy.partitioning(), known, assignment, strategy.warmUp());
    return IterativePruning.run(
        space, shuffled, settings, OrderIndependenceTest::train, SearchListener.NONE);
  }

  @Test
  void shufflingWhatComesInChangesNothing() {
    Random random = TestSeed.random();
    List<Candidate> modules = new ArrayList<>(Scores.space(LAYERS).candidates());
    List<Criterion> criteria = new ArrayList<>(Criteria.six());
    for (Selection selection : Selection.values()) {
      for (Weighting weights : Weighting.values()) {
        PruningSettings settings =
            PruningSettings.of(300).withSelection(selection).withWeights(weights).withSeed(5);
        PruningResult first = search(modules, criteria, settings, random);
        for (int i = 0; i < 5; i++) {
          Collections.shuffle(modules, random);
          Collections.shuffle(criteria, random);
          PruningResult again = search(modules, criteria, settings, random);
          assertEquals(first, again);
          assertEquals(first.toString(), again.toString());
        }
      }
    }
  }

  @Test
  void anotherSeedDecidesTiesOtherwise() {
    List<Candidate> modules = Scores.space(LAYERS).candidates();
    PruningSettings settings = PruningSettings.of(300);
    Strategy zeros =
        new Strategy(
            Strategy.Origin.CUSTOM,
            Partitioning.SPINDLE,
            List.of("zeros"),
            Map.of(),
            Optional.empty());
    List<List<Candidate>> kept = new ArrayList<>();
    for (int seed = 0; seed < 2; seed++) {
      kept.add(
          IterativePruning.run(
                  new SearchSpace(LAYERS, modules),
                  zeros,
                  settings.withSeed(seed),
                  OrderIndependenceTest::train,
                  SearchListener.NONE)
              .kept());
    }
    assertNotEquals(kept.get(0), kept.get(1));
  }
}
