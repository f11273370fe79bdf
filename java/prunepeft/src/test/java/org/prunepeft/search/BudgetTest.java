package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.search.Errors.assertIllegal;
import static org.prunepeft.search.Errors.assertIllegalMentions;
import static org.prunepeft.search.Scores.adapter;
import static org.prunepeft.search.Scores.lora;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.DepthOrder.Layers;
import org.prunepeft.testing.TestSeed;

class BudgetTest {
  @Test
  void theTargetFallsInEqualStepsRoundedDown() {
    // B₀ = 100, B = 33, r = 3: 77.67, 55.33, 33.
    PruningSettings settings = PruningSettings.of(33);
    assertEquals(77, settings.target(1, 100));
    assertEquals(55, settings.target(2, 100));
    assertEquals(33, settings.target(3, 100));
    assertEquals(100, PruningSettings.of(100).target(1, 100));
  }

  @Test
  void aBudgetOutOfRangeIsRefusedWithItsValueAndTheRemedy() {
    SearchSpace space = Scores.space(2);
    assertIllegal(
        () -> space.requireBudget(0),
        "the budget must be a positive number of trainable parameters, got 0");
    assertIllegal(
        () -> PruningSettings.of(-5),
        "the budget must be a positive number of trainable parameters, got -5");
    assertIllegal(
        () -> space.requireBudget(61),
        "the budget must be at most the supernet's 60 parameters, got 61");
    assertIllegal(
        () -> space.requireBudget(9),
        "the budget must leave room for one module, the smallest of which has 10 parameters, got"
            + " 9");
    space.requireBudget(10);
    space.requireBudget(60);
    assertIllegalMentions(() -> RandomSelection.keep(space, 9, 1), "smallest");
    assertIllegalMentions(() -> DepthOrder.keep(space, 61, Layers.LAST), "at most");
  }

  @Test
  void removalStopsAsSoonAsTheTargetIsMet() {
    List<Candidate> order = List.of(lora(0, 10), adapter(0, 20), lora(1, 10), adapter(1, 20));
    // 60 − 10 = 50 > 45, 50 − 20 = 30 ≤ 45.
    BudgetFill fill = BudgetFill.remove(order, 45, 45);
    assertEquals(List.of(lora(0, 10), adapter(0, 20)), fill.removed());
    assertEquals(List.of(adapter(1, 20), lora(1, 10)), fill.kept());
    assertEquals(List.of(), BudgetFill.remove(order, 60, 10).removed());
  }

  @Test
  void theLastModuleThatFitsTheBudgetStays() {
    // Budget 20: only lora.0 fits. Were it to go first, 100 or 200 would be left.
    List<Candidate> order = List.of(lora(0, 10), adapter(0, 100), adapter(1, 100));
    BudgetFill fill = BudgetFill.remove(order, 20, 20);
    assertEquals(List.of(adapter(0, 100), adapter(1, 100)), fill.removed());
    assertEquals(List.of(lora(0, 10)), fill.spared());
    assertEquals(List.of(lora(0, 10)), fill.kept());
    // Also in an early round, whose target is above the budget.
    assertEquals(List.of(lora(0, 10)), BudgetFill.remove(order, 120, 20).spared());
  }

  @Test
  void depthOrderKeepsTheLastLayersAndFillsTheBudget() {
    SearchSpace space = Scores.space(6);
    // 180 − (30 a layer) · 4 = 60: the last two layers.
    assertEquals(
        List.of(adapter(4, 20), lora(4, 10), adapter(5, 20), lora(5, 10)),
        DepthOrder.keep(space, 60, Layers.LAST));
    // 45: layers 0 to 3 go, then the adapter of layer 4; its LoRA module still fits.
    assertEquals(
        List.of(lora(4, 10), adapter(5, 20), lora(5, 10)), DepthOrder.keep(space, 45, Layers.LAST));
    // 19: the adapter of the last layer does not fit, its LoRA module does.
    assertEquals(List.of(lora(5, 10)), DepthOrder.keep(space, 19, Layers.LAST));
    // 25: nor does it here, but the LoRA module of the layer before.
    assertEquals(List.of(lora(4, 10), lora(5, 10)), DepthOrder.keep(space, 25, Layers.LAST));
    assertEquals(List.of(lora(0, 10), lora(1, 10)), DepthOrder.keep(space, 25, Layers.FIRST));
    assertEquals(List.of(lora(2, 10), lora(3, 10)), DepthOrder.keep(space, 25, Layers.MIDDLE));
  }

  @Test
  void randomSelectionDependsOnTheSeedAndNamesAlone() {
    SearchSpace space = Scores.space(6);
    List<Candidate> shuffled = new ArrayList<>(space.candidates());
    Collections.shuffle(shuffled, TestSeed.random());
    List<Candidate> kept = RandomSelection.keep(space, 90, 7);
    assertEquals(kept, RandomSelection.keep(new SearchSpace(6, shuffled), 90, 7));
    assertNotEquals(kept, RandomSelection.keep(space, 90, 8));
  }

  /** A kept result names its random modules by a seed: the same seed must give the same. */
  @Test
  void drawsOfWholeModulesStayTheSame() {
    assertEquals(
        List.of("adapter.0", "lora.0", "adapter.2", "lora.2", "adapter.3", "lora.3"),
        Candidate.names(RandomSelection.keep(Scores.space(6), 90, 7)));
    assertEquals(
        List.of("lora.0", "lora.1", "adapter.3", "lora.3", "adapter.4", "lora.4", "lora.5"),
        Candidate.names(RandomSelection.keep(Scores.space(6), 90, 8)));
  }

  /** Modules of two types in each layer, cut into slices of these sizes. */
  private static SearchSpace sliced(int layers, long... sizes) {
    List<Candidate> slices = new ArrayList<>();
    for (int layer = 0; layer < layers; layer++) {
      for (String type : List.of(Candidate.ADAPTER, Candidate.LORA)) {
        for (int i = 0; i < sizes.length; i++) {
          slices.add(new Candidate(new Slice(type + "." + layer, i).name(), layer, type, sizes[i]));
        }
      }
    }
    return new SearchSpace(layers, slices);
  }

  /** How many slices each module keeps; a module's slices must be its leading ones. */
  private static Map<String, Integer> kept(List<Candidate> slices) {
    Map<String, Integer> kept = new TreeMap<>();
    slices.stream()
        .map(Slice::of)
        .sorted(Comparator.comparingInt(Slice::index))
        .forEach(
            slice -> {
              assertEquals(kept.getOrDefault(slice.module(), 0), slice.index(), slice::name);
              kept.merge(slice.module(), 1, Integer::sum);
            });
    return kept;
  }

  @Test
  void randomSlicesAreLeadingOnesAndAllModulesGiveTheirFirstBeforeOneGivesItsSecond() {
    SearchSpace space = sliced(6, 10, 10, 10, 10);
    for (int seed = 0; seed < 100; seed++) {
      Map<String, Integer> few = kept(RandomSelection.keep(space, 50, seed));
      assertEquals(Collections.nCopies(5, 1), List.copyOf(few.values()));
      Map<String, Integer> more = kept(RandomSelection.keep(space, 150, seed));
      assertEquals(12, more.size());
      assertEquals(3, more.values().stream().filter(count -> count == 2).count());
    }
    assertNotEquals(RandomSelection.keep(space, 50, 1), RandomSelection.keep(space, 50, 2));
  }

  @Test
  void aSliceThatDoesNotFitIsNotSkippedForALaterOneOfItsModule() {
    SearchSpace space = sliced(2, 10, 7, 3);
    for (int seed = 0; seed < 100; seed++) {
      kept(RandomSelection.keep(space, 45, seed));
      for (Layers layers : Layers.values()) {
        kept(DepthOrder.keep(space, 12 + seed % 60, layers));
      }
    }
  }

  @Test
  void depthOrderTakesAModulesSlicesFromTheFirst() {
    SearchSpace space = sliced(3, 10, 10, 10);
    assertEquals(Map.of("lora.0", 2), kept(DepthOrder.keep(space, 20, Layers.FIRST)));
    assertEquals(
        Map.of("lora.2", 3, "adapter.2", 1), kept(DepthOrder.keep(space, 40, Layers.LAST)));
  }

  @Test
  void randomSelectionLeavesNoRoomForAnotherModule() {
    SearchSpace space = Scores.space(6);
    for (int seed = 0; seed < 100; seed++) {
      long budget = 15 + seed;
      List<Candidate> kept = RandomSelection.keep(space, budget, seed);
      long left = budget - Candidate.total(kept);
      assertTrue(left >= 0);
      assertTrue(
          space.candidates().stream()
              .filter(module -> !kept.contains(module))
              .noneMatch(module -> module.parameters() <= left),
          () -> "" + kept);
    }
  }

  @Test
  void randomSelectionFavoursNoModule() {
    SearchSpace space = Scores.loraOnly(12);
    Map<String, Integer> times = new HashMap<>();
    int seeds = 4000;
    for (int seed = 0; seed < seeds; seed++) {
      List<Candidate> kept = RandomSelection.keep(space, 6, seed);
      assertEquals(6, kept.size());
      kept.forEach(module -> times.merge(module.name(), 1, Integer::sum));
    }
    // Half the seeds each; the standard deviation is √4000 / 2 = 32.
    times.forEach((name, count) -> assertTrue(Math.abs(count - 2000) < 160, name + ": " + count));
    assertEquals(12, times.size());
  }

  @Test
  void aSearchSpaceIsValidated() {
    assertIllegalMentions(() -> new SearchSpace(2, List.of()), "at least one module");
    assertIllegalMentions(() -> new SearchSpace(0, List.of(lora(0, 1))), "layer", "got 0");
    assertIllegal(
        () -> new SearchSpace(2, List.of(lora(2, 1))),
        "layer must be below the model's 2, got 2 (module lora.2)");
    assertIllegal(
        () -> new SearchSpace(2, List.of(lora(0, 1), lora(0, 1))),
        "module names must be unique, got lora.0 twice");
    assertIllegal(
        () -> lora(1, 0), "a module must have at least 1 parameter, got 0 (module lora.1)");
    assertIllegalMentions(() -> new Candidate("x", 0, "a/b", 1), "'a/b'", "module x");
    assertIllegalMentions(() -> new Candidate("x", -1, "lora", 1), "got -1", "module x");
    assertIllegalMentions(() -> new Candidate(" ", 0, "lora", 1), "blank");
    assertEquals(60, Scores.space(2).totalParameters());
    assertEquals(List.of("adapter", "lora"), Scores.space(2).types());
  }
}
