package org.prunepeft.search.peer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.ModuleStatistics;
import org.prunepeft.search.Observation;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.TrainingHealth;
import org.prunepeft.testing.TestSeed;

/** Searches in worlds where it is known what each module is worth. */
class PeerSearchTest {
  private static final int COUNT = 12;
  private static final int KEPT = 4;
  private static final SearchSpace SPACE = Modules.alike(COUNT);
  private static final long BUDGET = 100 * KEPT;

  /** Some modules are worth 0.05 each, and the others nothing; what is seen of it is off a bit. */
  private static class World implements PeerTrainer {
    final Map<String, Double> worth = new LinkedHashMap<>();
    final List<String> good = new ArrayList<>();
    final double noise;
    final Random random;
    final List<List<Candidate>> asked = new ArrayList<>();

    World(double noise) {
      this.noise = noise;
      random = TestSeed.random();
      List<String> names = new ArrayList<>(Modules.names(SPACE.candidates()));
      Collections.shuffle(names, random);
      good.addAll(names.subList(0, KEPT));
      good.sort(Comparator.comparingInt(name -> Integer.parseInt(name.substring(1))));
      SPACE
          .candidates()
          .forEach(each -> worth.put(each.name(), good.contains(each.name()) ? 0.05 : 0));
    }

    private double off() {
      return noise * random.nextGaussian();
    }

    double worth(List<Candidate> modules) {
      return modules.stream().mapToDouble(each -> worth.get(each.name())).sum();
    }

    @Override
    public void gates(GateTraining gates) {
      for (int step = 0; step < 100; step++) {
        float[] gradients = new float[COUNT];
        for (int i = 0; i < COUNT; i++) {
          gradients[i] = (float) (off() - worth.get(gates.modules().get(i).name()));
        }
        gates.update(gradients);
      }
    }

    /** The sum of products has either sign. */
    @Override
    public Observation supernet(List<Candidate> modules) {
      Map<String, ModuleStatistics> sums = new LinkedHashMap<>();
      for (Candidate module : modules) {
        double sumWg = (worth.get(module.name()) + off()) * (random.nextBoolean() ? 1 : -1);
        sums.put(module.name(), new ModuleStatistics(100, 1, 1, 100, 0, 1, 1, sumWg, 10, 1, 1));
      }
      return new Observation(sums, Map.of(), Map.of());
    }

    @Override
    public PeerResult.Trial validated(List<Candidate> modules) {
      asked.add(modules);
      return PeerResult.Trial.of(Modules.names(modules), 0.5 + worth(modules) + off());
    }

    @Override
    public PeerResult.TrainingEffort effort() {
      return new PeerResult.TrainingEffort(asked.size(), 2 * asked.size(), 10);
    }
  }

  private static List<String> kept(PeerResult result) {
    return Modules.names(result.kept());
  }

  @Test
  void gatesKeepTheModulesThatLowerTheLoss() {
    World world = new World(0.03);
    PeerResult result = new GateSearch(0.1, TestSeed.draw()).run(SPACE, BUDGET, world);
    assertEquals(world.good, kept(result));
    assertEquals("gates", result.method());
    double open = result.modules().stream().mapToDouble(PeerResult.ScoredModule::score).sum();
    assertEquals(KEPT, open, 1e-6);
  }

  @Test
  void firstOrderKeepsTheLargestSumsOfEitherSign() {
    World world = new World(0.005);
    PeerResult result = new FirstOrderSearch(TestSeed.draw()).run(SPACE, BUDGET, world);
    assertEquals(world.good, kept(result));
    result.modules().forEach(each -> assertTrue(each.score() >= 0));
  }

  @Test
  void aTrainingThatDivergedScoresNothing() {
    World world =
        new World(0) {
          @Override
          public Observation supernet(List<Candidate> modules) {
            return Observation.blank(modules, TrainingHealth.of(1, Double.NaN));
          }
        };
    ArithmeticException e =
        assertThrows(
            ArithmeticException.class, () -> new FirstOrderSearch(1).run(SPACE, BUDGET, world));
    assertTrue(e.getMessage().contains("lower the learning rates"), e.getMessage());
  }

  @Test
  void aBayesianSearchFindsWhatRandomSubsetsRarelyHave() {
    World world = new World(0.005);
    PeerResult result = new BayesianSearch(40, 0, TestSeed.draw()).run(SPACE, BUDGET, world);
    int count = result.trials().size();
    assertTrue(count > 20 && count <= 40, count + " trials");
    assertEquals(count, new HashSet<>(world.asked).size());
    world.asked.forEach(each -> assertTrue(Candidate.total(each) <= BUDGET));
    // One in 495 random subsets has all four.
    assertEquals(world.good, kept(result));
    double best =
        result.trials().stream().mapToDouble(PeerResult.Trial::metric).max().orElseThrow();
    assertEquals(
        Optional.of(kept(result)),
        result.trials().stream()
            .filter(each -> each.metric() == best)
            .findFirst()
            .map(PeerResult.Trial::modules));
    double later =
        world.asked.subList(count / 2, count).stream()
            .mapToDouble(world::worth)
            .average()
            .orElseThrow();
    // Of random ones 0.067.
    assertTrue(later > 0.1, "later subsets are worth " + later);
  }

  @Test
  void aSearchWithoutProgressEndsWhenPatienceDoes() {
    World world =
        new World(0) {
          @Override
          public PeerResult.Trial validated(List<Candidate> modules) {
            asked.add(modules);
            return PeerResult.Trial.of(Modules.names(modules), 0.5);
          }
        };
    PeerResult result = new BayesianSearch(30, 5, 1).run(SPACE, BUDGET, world);
    assertEquals(1 + 5, result.trials().size());
    assertEquals(Modules.names(world.asked.get(0)), kept(result));
  }

  @Test
  void aTrialThatCameToItsEndGoesBeforeOneThatDivergedWithTheSameMetric() {
    World world =
        new World(0) {
          @Override
          public PeerResult.Trial validated(List<Candidate> modules) {
            asked.add(modules);
            String diverged = asked.size() == 2 ? null : "the loss is NaN in step 3";
            return new PeerResult.Trial(Modules.names(modules), 0.5, diverged);
          }
        };
    PeerResult result = new BayesianSearch(4, 0, TestSeed.draw()).run(SPACE, BUDGET, world);
    assertEquals(4, world.asked.size());
    assertEquals(Modules.names(world.asked.get(1)), kept(result));
  }

  @Test
  void aModuleThatDoesHarmIsLeftOutThoughItWouldFit() {
    World world =
        new World(0) {
          @Override
          double worth(List<Candidate> modules) {
            return modules.stream()
                .mapToDouble(each -> each.name().equals("m1") ? -0.1 : 0.1)
                .sum();
          }
        };
    PeerResult result = new BayesianSearch(9, 0, TestSeed.draw()).run(Modules.alike(2), 200, world);
    assertEquals(List.of("m0"), kept(result));
  }

  @Test
  void aSpaceWithFewSubsetsIsTriedAsAWhole() {
    World world = new World(0.001);
    SearchSpace three = Modules.alike(3);
    PeerResult result = new BayesianSearch(30, 0, 1).run(three, 100, world);
    assertEquals(3, result.trials().size());
  }

  @Test
  void oneSeedGivesOneSearch() {
    long seed = TestSeed.draw();
    World world = new World(0);
    for (PeerSearch search :
        List.of(
            new GateSearch(0.1, seed),
            new FirstOrderSearch(seed),
            new BayesianSearch(9, 0, seed))) {
      PeerResult first = search.run(SPACE, BUDGET, world);
      assertEquals(kept(first), kept(search.run(SPACE, BUDGET, world)), search.toString());
    }
  }

  @Test
  void aBudgetOutOfRangeIsRefused() {
    for (PeerSearch search :
        List.of(new GateSearch(0.1, 1), new FirstOrderSearch(1), new BayesianSearch(9, 0, 1))) {
      assertThrows(
          IllegalArgumentException.class,
          () -> search.run(SPACE, 99, new World(0)),
          search.toString());
    }
    assertThrows(IllegalArgumentException.class, () -> new BayesianSearch(0, 0, 1));
    assertThrows(IllegalArgumentException.class, () -> new BayesianSearch(1, -1, 1));
  }
}
