package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.search.Errors.assertIllegal;
import static org.prunepeft.search.Scores.adapter;
import static org.prunepeft.search.Scores.lora;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.PruningRound.Information;
import org.prunepeft.search.PruningSettings.Selection;
import org.prunepeft.search.PruningSettings.Weighting;
import org.prunepeft.search.Reading.LeftOut;
import org.prunepeft.testing.TestSeed;

/**
 * Cases worked by hand. Throughout k = sigmoid(3 − rank): 0.952574, 0.880797, 0.731059 for ranks 0,
 * 1, 2.
 */
class IterativePruningTest {
  private static final double CLOSE = 1e-6;
  private static final Strategy WEIGHT = Strategy.single(Criteria.WEIGHT);

  private static PruningResult run(
      SearchSpace space, Strategy strategy, PruningSettings settings, SupernetTrainer trainer) {
    return IterativePruning.run(space, strategy, settings, trainer, SearchListener.NONE);
  }

  private static PruningRound oneRound(
      SearchSpace space, Strategy strategy, PruningSettings settings, Scores scores) {
    return run(space, strategy, settings.withRounds(1), scores).rounds().get(0);
  }

  /** Of three LoRA modules of one parameter each, one of which fits the budget. */
  private static PruningRound oneRound(Strategy strategy, Scores scores) {
    return oneRound(Scores.loraOnly(3), strategy, PruningSettings.of(1), scores);
  }

  private static List<String> byHash(SearchSpace space, long seed) {
    return space.candidates().stream().sorted(SeededHash.order(seed)).map(Candidate::name).toList();
  }

  private static double[] probabilities(PruningRound round) {
    return round.verdicts().stream().mapToDouble(Verdict::probability).toArray();
  }

  private static List<String> removed(PruningRound round) {
    return round.removals().stream().map(removal -> removal.module().name()).toList();
  }

  private static List<Reading> leftOut(PruningRound round) {
    return round.readings().stream().filter(reading -> !reading.informative()).toList();
  }

  private static Panel panel(PruningRound round, String partition) {
    return round.panels().stream()
        .filter(panel -> panel.partition().toString().equals(partition))
        .findFirst()
        .orElseThrow();
  }

  private static Reading reading(PruningRound round, String criterion, String type) {
    return round.readings().stream()
        .filter(found -> found.criterion().equals(criterion) && found.type().equals(type))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void theProbabilityOfThreeModulesUnderOneCriterion() {
    // Smallest first: Θ = 4/4, 3/4, 0; ranks 0, 1, 2; kΘ = 0.952574, 0.660598, 0;
    // exp = 2.592374, 1.935949, 1, in sum 5.528323; times 3.
    PruningRound round = oneRound(WEIGHT, new Scores().set("weight", "lora", 1, 2, 5));
    assertArrayEquals(new double[] {1.406778, 1.050562, 0.54266}, probabilities(round), CLOSE);
    Score second = round.verdicts().get(1).scores().get("weight");
    assertEquals(2, second.raw());
    assertEquals(0.75, second.scaled());
    assertEquals(1, second.rank());
    assertEquals(List.of("lora.0", "lora.1"), removed(round));
    assertEquals(1, round.parameters());
  }

  @Test
  void whereTheLargestGoFirstTheScaleIsTurned() {
    PruningRound round =
        oneRound(
            Strategy.single(Criteria.THRESHOLD),
            new Scores().set("threshold", "lora", 0.125, 0.375, 0.25));
    assertEquals(
        List.of(0.0, 1.0, 0.5),
        round.verdicts().stream()
            .map(verdict -> verdict.scores().get("threshold").scaled())
            .toList());
    assertEquals(List.of("lora.1", "lora.2"), removed(round));
  }

  @Test
  void severalCriteriaAreAveragedAndThoseTiedAreLeftOut() {
    // weight as above: 1.406778, 1.050562, 0.542660. gradient: Θ = 0, 1/2, 1, ranks 2, 1, 0,
    // exp = 1, 1.553326, 2.592374: 0.583011, 0.905606, 1.511383. The four others are tied.
    PruningRound round =
        oneRound(
            Strategy.all(),
            new Scores().set("weight", "lora", 1, 2, 5).set("gradient", "lora", 3, 2, 1));
    assertArrayEquals(new double[] {0.994894, 0.978084, 1.027022}, probabilities(round), CLOSE);
    assertEquals(List.of("lora.2", "lora.0"), removed(round));
    assertEquals(
        List.of("zeros", "threshold", "activation", "sensitivity"),
        leftOut(round).stream().map(Reading::criterion).toList());
    assertTrue(
        leftOut(round).stream().allMatch(left -> left.leftOut().equals(Optional.of(LeftOut.TIED))));
    assertEquals(Map.of("weight", 0.5, "gradient", 0.5), panel(round, "lora/1").weights());
    assertFalse(panel(round, "lora/1").standIn());
  }

  @Test
  void tiedModulesShareTheirMeanRankAndProbabilityAndASeededHashDecides() {
    // Θ = 1, 1, 0; ranks 0.5, 0.5, 2; k = sigmoid(2.5) = 0.924142; exp = 2.519705 twice, 1:
    // 3 · 2.519705 / 6.039410 = 1.251631.
    Set<String> first = new HashSet<>();
    for (int seed = 0; seed < 20; seed++) {
      PruningRound round =
          oneRound(
              Scores.loraOnly(3),
              WEIGHT,
              PruningSettings.of(2).withSeed(seed),
              new Scores().set("weight", "lora", 1, 1, 4));
      assertArrayEquals(new double[] {1.251631, 1.251631, 0.496737}, probabilities(round), CLOSE);
      assertEquals(0.5, round.verdicts().get(0).meanRank());
      assertEquals(0.5, round.verdicts().get(1).meanRank());
      first.addAll(removed(round));
    }
    assertEquals(Set.of("lora.0", "lora.1"), first);
  }

  @Test
  void probabilitiesThatDifferByRoundingAloneAreEqual() {
    // Each module is first for one criterion, second and last for the two others, so all three have
    // the mean of the same three numbers, added up in different orders.
    for (int seed = 0; seed < 40; seed++) {
      double middle = 1.1 + seed / 11.0;
      Scores scores =
          new Scores()
              .set("weight", "lora", 1, middle, 5)
              .set("zeros", "lora", 5, 1, middle)
              .set("gradient", "lora", middle, 5, 1);
      PruningRound round =
          oneRound(
              Scores.loraOnly(3), Strategy.all(), PruningSettings.of(1).withSeed(seed), scores);
      List<String> byHash = byHash(Scores.loraOnly(3), seed);
      assertEquals(byHash.subList(0, 2), removed(round));
    }
  }

  @Test
  void typesCompareByTheShareOfTheirOwnNumber() {
    // Two adapters: 2 · 2.592374 / 3.592374 = 1.443265 and 0.556735; three LoRA modules as above:
    // 1.406778, 1.050562, 0.542660. Raw scores a million times apart play no part.
    SearchSpace space =
        new SearchSpace(
            3, List.of(adapter(0, 20), adapter(1, 20), lora(0, 10), lora(1, 10), lora(2, 10)));
    PruningRound round =
        oneRound(
            space,
            WEIGHT,
            PruningSettings.of(10),
            new Scores().set("weight", "adapter", 1e6, 3e6).set("weight", "lora", 1, 2, 5));
    // 70 − 20 − 10 − 10 = 30; adapter.1 goes next, and 10 are left.
    assertEquals(List.of("adapter.0", "lora.0", "lora.1", "adapter.1"), removed(round));
    assertEquals(1.443265, round.removals().get(0).probability(), CLOSE);
    assertEquals(
        List.of(50L, 40L, 30L, 10L),
        round.removals().stream().map(Removal::parametersAfter).toList());
    assertEquals(List.of(lora(2, 10)), round.survivors());
  }

  @Test
  void scoresThatAreAllEqualCarryNoInformationAndAHashDecides() {
    Set<List<String>> orders = new HashSet<>();
    for (int seed = 0; seed < 20; seed++) {
      PruningRound round =
          oneRound(
              Scores.space(3), Strategy.all(), PruningSettings.of(45).withSeed(seed), new Scores());
      assertEquals(Information.NONE, round.information());
      assertEquals(12, leftOut(round).size());
      for (Verdict verdict : round.verdicts()) {
        assertEquals(1, verdict.probability());
        assertEquals(1, verdict.meanRank());
      }
      assertTrue(round.panels().stream().allMatch(panel -> panel.weights().isEmpty()));
      List<String> byHash = byHash(Scores.space(3), seed);
      assertEquals(byHash.subList(0, removed(round).size()), removed(round));
      orders.add(removed(round));
    }
    assertTrue(orders.size() > 10, orders::toString);
  }

  @Test
  void aCriterionCountsOnlyFromOnePerCentSpread() {
    // 0.5 / 100.25 = 0.499 %, 2 / 101 = 1.98 %.
    PruningRound round =
        oneRound(
            Scores.loraOnly(2),
            Strategy.all(),
            PruningSettings.of(1),
            new Scores().set("weight", "lora", 100, 100.5).set("gradient", "lora", 102, 100));
    assertEquals(Optional.of(LeftOut.NEARLY_TIED), reading(round, "weight", "lora").leftOut());
    assertEquals(0.5 / 100.25, reading(round, "weight", "lora").spread(), 1e-15);
    assertEquals(2.0 / 101, reading(round, "gradient", "lora").spread(), 1e-15);
    assertEquals(Map.of("gradient", 1.0), panel(round, "lora/1").weights());
    assertEquals(List.of("lora.1"), removed(round));
  }

  @Test
  void theLeastSpreadAndCAreSettings() {
    Scores scores = new Scores().set("weight", "lora", 100, 100.5, 101);
    PruningSettings settings = PruningSettings.of(1);
    assertEquals(1, leftOut(oneRound(Scores.loraOnly(3), WEIGHT, settings, scores)).size());
    PruningRound round =
        oneRound(Scores.loraOnly(3), WEIGHT, settings.withSpreadThreshold(0.001).withC(0), scores);
    assertTrue(leftOut(round).isEmpty());
    // Θ = 1, 0.5, 0; k = sigmoid(-rank) = 0.5, 0.268941: exp = 1.648721, 1.143931, 1, in sum
    // 3.792652.
    assertArrayEquals(
        new double[] {3 * 1.648721 / 3.792652, 3 * 1.143931 / 3.792652, 3 / 3.792652},
        probabilities(round),
        CLOSE);
    assertIllegal(
        () -> settings.withSpreadThreshold(1),
        "the spread threshold must be at least 0 and below 1, got 1.0");
    assertIllegal(() -> settings.withC(Double.NaN), "c must be a finite number, got NaN");
  }

  @Test
  void theLeastSpreadCountsItself() {
    PruningSettings settings = PruningSettings.of(1);
    // Spread 0.01 of the mean, and less.
    Scores scores = new Scores().set("weight", "lora", 99.5, 100, 100.5);
    assertTrue(leftOut(oneRound(Scores.loraOnly(3), WEIGHT, settings, scores)).isEmpty());
    scores = new Scores().set("weight", "lora", 99.5, 100.0625, 100.4375);
    assertEquals(1, leftOut(oneRound(Scores.loraOnly(3), WEIGHT, settings, scores)).size());
    assertEquals(
        Optional.of(LeftOut.TIED),
        reading(oneRound(Scores.loraOnly(3), WEIGHT, settings, new Scores()), "weight", "lora")
            .leftOut());
  }

  @Test
  void signedScoresOfMeanZeroSpreadOverTheirMeanSize() {
    PruningRound round =
        oneRound(
            Scores.loraOnly(2),
            Strategy.single(Criteria.SENSITIVITY_SIGNED),
            PruningSettings.of(1),
            new Scores().set("sensitivity-signed", "lora", 1, -1));
    assertEquals(2, reading(round, "sensitivity-signed", "lora").spread());
    assertEquals(List.of("lora.1"), removed(round));
  }

  @Test
  void theOthersStandInWhereAllOfAPartitionsCriteriaAreLeftOut() {
    // Six layers, blocks 1, 2, 2, 1. Of the LoRA partitions' criteria (activation and threshold;
    // threshold; zeros; gradient) only gradient distinguishes modules, and weight stands in with
    // it.
    PruningRound round =
        oneRound(
            Scores.space(6),
            Strategy.authors(),
            PruningSettings.of(90),
            new Scores()
                .set("weight", "lora", 1, 2, 3, 4, 5, 6)
                .set("gradient", "lora", 6, 5, 4, 3, 2, 1)
                .set("sensitivity", "adapter", 1, 2, 3, 4, 5, 6));
    Map<String, Double> both = Map.of("weight", 0.5, "gradient", 0.5);
    for (String partition : List.of("lora/1", "lora/2", "lora/3")) {
      assertEquals(new Panel(Partition.parse(partition), both, true), panel(round, partition));
    }
    assertEquals(
        new Panel(Partition.parse("lora/4"), Map.of("gradient", 1.0), false),
        panel(round, "lora/4"));
    for (int block = 1; block <= 4; block++) {
      assertEquals(
          new Panel(new Partition("adapter", block), Map.of("sensitivity", 1.0), false),
          panel(round, "adapter/" + block));
    }
  }

  @Test
  void aTypeWithOneModuleLeftIsAverage() {
    // 1.406778, 1.050562, 0.542660 for LoRA; the adapter alone has 1 · e^x / e^x = 1.
    SearchSpace space =
        new SearchSpace(3, List.of(lora(0, 10), lora(1, 10), lora(2, 10), adapter(1, 10)));
    PruningRound round =
        oneRound(
            space,
            WEIGHT,
            PruningSettings.of(10),
            new Scores().set("weight", "lora", 1, 2, 5).set("weight", "adapter", 7, 8, 9));
    assertEquals(List.of("lora.0", "lora.1", "adapter.1"), removed(round));
    assertEquals(1, round.removals().get(2).probability());
    assertEquals(Optional.of(LeftOut.ONE_MODULE), reading(round, "weight", "adapter").leftOut());
  }

  /** Layers 0 and 5 are partitions of one module each; theirs are the best scores. */
  private static Scores bestAtTheEnds() {
    return new Scores()
        .set("weight", "lora", 6, 1, 2, 3, 4, 5)
        .set("weight", "adapter", 6, 1, 2, 3, 4, 5);
  }

  @Test
  void aPartitionOfOneModuleCompetesWithItsType() {
    PruningRound round =
        oneRound(Scores.space(6), WEIGHT, PruningSettings.of(120), bestAtTheEnds());
    assertEquals(
        Set.of("lora.1", "adapter.1", "lora.2", "adapter.2"), new HashSet<>(removed(round)));
  }

  @Test
  void theReferenceSelectionRemovesPartitionsOfOneModuleFirst() {
    PruningRound round =
        oneRound(
            Scores.space(6),
            WEIGHT,
            PruningSettings.of(120).withSelection(Selection.REFERENCE),
            bestAtTheEnds());
    // All four have p = 1; layer 5 has the lower rank, 4 against 5.
    assertEquals(Set.of("lora.5", "adapter.5"), new HashSet<>(removed(round).subList(0, 2)));
    assertEquals(Set.of("lora.0", "adapter.0"), new HashSet<>(removed(round).subList(2, 4)));
    assertEquals(4, removed(round).size());
    // Layers 1 and 2 share a block: Θ = 1 and 0.8 over all six, ranks 0 and 1,
    // exp = 2.592374 and exp(0.880797 · 0.8) = 2.023114: 0.561669 and 0.438331.
    Map<String, Double> probabilities = new LinkedHashMap<>();
    round.verdicts().forEach(v -> probabilities.put(v.module().name(), v.probability()));
    assertEquals(1, probabilities.get("lora.0"));
    assertEquals(0.561669, probabilities.get("lora.1"), CLOSE);
    assertEquals(0.438331, probabilities.get("lora.2"), CLOSE);
  }

  @Test
  void theReferenceSelectionWithoutInformationSharesEachPartitionOutAlike() {
    PruningRound round =
        oneRound(
            Scores.loraOnly(6),
            Strategy.all(),
            PruningSettings.of(3).withSelection(Selection.REFERENCE),
            new Scores());
    assertArrayEquals(new double[] {1, 0.5, 0.5, 0.5, 0.5, 1}, probabilities(round));
  }

  /** Reliability of activation 1 or -1, of gradient 0.5 (Σd² = 2: 1 − 6·2/24) or -1. */
  private static Scores halves(boolean activationAgrees, boolean gradientAgrees) {
    double[] up = {1, 2, 3};
    double[] down = {3, 2, 1};
    return new Scores()
        .set("weight", "lora", 1, 2, 5)
        .set("activation", "lora", 1, 2, 5)
        .set("gradient", "lora", 3, 2, 1)
        .setHalves("activation", "lora", up, activationAgrees ? up : down)
        .setHalves("gradient", "lora", up, gradientAgrees ? new double[] {2, 1, 3} : down);
  }

  private static Map<String, Double> reliabilityWeights(Scores scores, String... criteria) {
    Strategy strategy =
        new Strategy(
            Strategy.Origin.CUSTOM,
            Partitioning.SPINDLE,
            List.of(criteria),
            Map.of(),
            Optional.empty());
    PruningSettings settings = PruningSettings.of(1).withWeights(Weighting.RELIABILITY);
    return panel(oneRound(Scores.loraOnly(3), strategy, settings, scores), "lora/1").weights();
  }

  @Test
  void criteriaAreWeighedByTheirReliability() {
    Map<String, Double> weights = reliabilityWeights(halves(true, true), "activation", "gradient");
    assertEquals(2.0 / 3, weights.get("activation"), 1e-15);
    assertEquals(1.0 / 3, weights.get("gradient"), 1e-15);
  }

  @Test
  void aCriterionWhoseReliabilityIsNotMeasuredWeighsTheMeanOfTheOthers() {
    // 1, 0.5 and their mean 0.75, in sum 2.25.
    Map<String, Double> weights =
        reliabilityWeights(halves(true, true), "weight", "activation", "gradient");
    assertEquals(1 / 2.25, weights.get("activation"), 1e-15);
    assertEquals(0.5 / 2.25, weights.get("gradient"), 1e-15);
    assertEquals(0.75 / 2.25, weights.get("weight"), 1e-15);
  }

  @Test
  void reliabilityBelowZeroHasNoSay() {
    assertEquals(
        Map.of("activation", 1.0, "gradient", 0.0),
        reliabilityWeights(halves(true, false), "activation", "gradient"));
    assertEquals(
        Map.of("weight", 1.0, "activation", 0.0, "gradient", 0.0),
        reliabilityWeights(halves(false, false), "weight", "activation", "gradient"));
    assertEquals(
        Map.of("activation", 0.5, "gradient", 0.5),
        reliabilityWeights(halves(false, false), "activation", "gradient"));
  }

  @Test
  void reliabilityWeighsProbabilitiesAndRanks() {
    // activation: as weight of the first case, share 2/3; gradient: 0.583011, 0.905606, 1.511383.
    PruningRound round =
        oneRound(
            Scores.loraOnly(3),
            Strategy.all(),
            PruningSettings.of(1).withWeights(Weighting.RELIABILITY),
            halves(true, true).set("weight", "lora", 1, 1, 1));
    assertArrayEquals(
        new double[] {
          (2 * 1.406778 + 0.583011) / 3, (2 * 1.050562 + 0.905606) / 3, (2 * 0.54266 + 1.511383) / 3
        },
        probabilities(round),
        CLOSE);
    assertEquals(2.0 / 3, round.verdicts().get(0).meanRank(), 1e-15);
  }

  @Test
  void theRoundSaysWhetherItsScoresCarriedInformation() {
    PruningSettings settings = PruningSettings.of(1);
    SearchSpace space = Scores.loraOnly(3);
    PruningRound round = oneRound(space, Strategy.all(), settings, halves(false, true));
    assertEquals(Information.UNMEASURED, round.information());
    assertEquals(-1, reading(round, "activation", "lora").reliability().getAsDouble(), 1e-15);
    assertEquals(0.5, reading(round, "gradient", "lora").reliability().getAsDouble(), 1e-15);
    assertEquals(OptionalDouble.empty(), reading(round, "weight", "lora").reliability());
    assertEquals(
        Information.UNMEASURED,
        oneRound(space, WEIGHT, settings, halves(false, false)).information());
    // Of three modules the halves' orders are the same in one case of six: that is no evidence.
    assertEquals(
        Information.UNMEASURED,
        oneRound(space, Strategy.all(), settings, halves(true, true)).information());
  }

  @Test
  void fourModulesAreEnoughToMeasureReliability() {
    double[] up = {1, 2, 3, 4};
    double[] turned = {1, 2, 4, 3};
    assertEquals(Information.RELIABLE, gradientHalves(up, up));
    assertEquals(Information.NONE, gradientHalves(up, turned));
  }

  private static Information gradientHalves(double[] first, double[] second) {
    Scores scores =
        new Scores().set("gradient", "lora", first).setHalves("gradient", "lora", first, second);
    return oneRound(
            Scores.loraOnly(4), Strategy.single(Criteria.GRADIENT), PruningSettings.of(1), scores)
        .information();
  }

  /** Of six LoRA modules and six adapters, by criteria that all err alike. */
  private static Information information(double[] truth, double noise, Random random) {
    Scores scores = new Scores();
    for (String type : List.of("lora", "adapter")) {
      double[] first = noisy(truth, noise, random);
      double[] second = noisy(truth, noise, random);
      for (String criterion : List.of("activation", "sensitivity", "gradient")) {
        scores.set(criterion, type, first).setHalves(criterion, type, first, second);
      }
    }
    return oneRound(Scores.space(6), Strategy.all(), PruningSettings.of(90), scores).information();
  }

  private static double[] noisy(double[] truth, double noise, Random random) {
    return Arrays.stream(truth).map(one -> one + noise * random.nextGaussian()).toArray();
  }

  @Test
  void scoresThatAreNoiseAreRarelyCalledReliable() {
    Random random = TestSeed.random();
    int rounds = 1000;
    int reliable = 0;
    for (int i = 0; i < rounds; i++) {
      reliable += information(new double[6], 1, random) == Information.RELIABLE ? 1 : 0;
    }
    // One in twenty, and five standard deviations of such a share.
    double most = 0.05 + 5 * Math.sqrt(0.05 * 0.95 / rounds);
    assertTrue(reliable <= most * rounds, reliable + " of " + rounds);
    assertTrue(reliable > 0);
    double[] truth = {1, 2, 3, 4, 5, 6};
    assertEquals(Information.RELIABLE, information(truth, 0.1, random));
  }

  @Test
  void twoModulesAreTooFewToMeasureReliability() {
    PruningRound round =
        oneRound(
            Scores.loraOnly(2),
            Strategy.single(Criteria.GRADIENT),
            PruningSettings.of(1),
            halves(true, true));
    assertEquals(OptionalDouble.empty(), reading(round, "gradient", "lora").reliability());
    assertEquals(Information.UNMEASURED, round.information());
  }

  private static Scores byDepth() {
    double[] up = IntStream.rangeClosed(1, 6).mapToDouble(i -> i).toArray();
    return new Scores().set("weight", "lora", up).set("weight", "adapter", up);
  }

  @Test
  void eachRoundRemovesNoMoreThanItsTargetAsks() {
    SearchSpace space = Scores.space(6);
    PruningResult result = run(space, WEIGHT, PruningSettings.of(90), byDepth());
    assertEquals(List.of(150L, 120L, 90L), result.rounds().stream().map(r -> r.target()).toList());
    List<Candidate> left = space.candidates();
    for (PruningRound round : result.rounds()) {
      assertEquals(left, round.verdicts().stream().map(Verdict::module).toList());
      long before = Candidate.total(left);
      for (Removal removal : round.removals()) {
        assertTrue(before > round.target(), "removed although the target was met");
        assertEquals(before - removal.module().parameters(), removal.parametersAfter());
        before = removal.parametersAfter();
      }
      assertEquals(before, round.parameters());
      assertTrue(before <= round.target());
      left = round.survivors();
    }
    assertEquals(left, result.kept());
    assertEquals(OptionalInt.of(1), result.removedIn("lora.0"));
    assertEquals(OptionalInt.empty(), result.removedIn("lora.5"));
  }

  @Test
  void everyRoundStartsFromNewWeightsUnlessTheyAreKept() {
    for (boolean reinitialise : new boolean[] {true, false}) {
      Scores scores = byDepth();
      run(Scores.space(6), WEIGHT, PruningSettings.of(90).withReinitialise(reinitialise), scores);
      // Nothing is asked of the trainer after the last removal.
      assertEquals(
          List.of(
              new Stage(StageKind.ROUND, 1, true),
              new Stage(StageKind.ROUND, 2, reinitialise),
              new Stage(StageKind.ROUND, 3, reinitialise)),
          scores.stages);
    }
  }

  @Test
  void aBudgetOfTheWholeSupernetRemovesNothing() {
    PruningResult result = run(Scores.space(2), WEIGHT, PruningSettings.of(60), byDepth());
    assertEquals(Scores.space(2).candidates(), result.kept());
    assertEquals(3, result.rounds().size());
  }

  @Test
  void oneModuleThatFitsIsAlwaysLeft() {
    // The LoRA module is the first to go by its score, but no adapter would fit the budget.
    SearchSpace space = new SearchSpace(3, List.of(lora(0, 10), lora(1, 90), lora(2, 90)));
    PruningResult result = run(space, WEIGHT, PruningSettings.of(10), byDepth());
    assertEquals(List.of(lora(0, 10)), result.kept());
    assertEquals(List.of(lora(0, 10)), result.rounds().get(0).spared());
  }

  @Test
  void aScoreThatIsNotFiniteIsRefusedWithItsModuleAndCriterion() {
    for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      ArithmeticException refused =
          assertThrows(
              ArithmeticException.class,
              () -> oneRound(Strategy.all(), new Scores().set("sensitivity", "lora", 1, bad, 2)));
      assertEquals(
          "criterion sensitivity of module lora.1 must be finite, got "
              + bad
              + " in round 1; if training diverged, lower the learning rate",
          refused.getMessage());
    }
    String half =
        assertThrows(
                ArithmeticException.class,
                () ->
                    oneRound(
                        Strategy.all(),
                        new Scores()
                            .setHalves(
                                "gradient",
                                "lora",
                                new double[] {1, 2, 3},
                                new double[] {1, 2, Double.NaN})))
            .getMessage();
    assertTrue(half.contains("module lora.2 (second half)"), half);
  }

  @Test
  void aModuleWithoutStatisticsIsNamed() {
    SupernetTrainer forgetful = (stage, modules) -> new Observation(Map.of(), Map.of(), Map.of());
    assertEquals(
        "the trainer must report statistics of every module that is left, got none of lora.0 in"
            + " round 1",
        assertThrows(
                IllegalStateException.class,
                () -> run(Scores.loraOnly(2), WEIGHT, PruningSettings.of(1), forgetful))
            .getMessage());
  }

  @Test
  void wrongInputIsRefusedBeforeAnyTraining() {
    Scores scores = new Scores();
    SearchSpace other =
        new SearchSpace(6, List.of(new Candidate("x", 0, "parallel-bottleneck", 5)));
    assertIllegal(
        () -> oneRound(other, Strategy.authors(), PruningSettings.of(5), scores),
        "the strategy has no criteria for partition parallel-bottleneck/1; it has [adapter/1,"
            + " adapter/2, adapter/3, adapter/4, lora/1, lora/2, lora/3, lora/4]");
    assertIllegal(
        () -> oneRound(Scores.space(2), WEIGHT, PruningSettings.of(9), scores),
        "the budget must leave room for one module, the smallest of which has 10 parameters, got"
            + " 9");
    assertIllegal(() -> PruningSettings.of(9).withRounds(0), "rounds must be at least 1, got 0");
    assertEquals(List.of(), scores.stages);
  }

  @Test
  void theListenerHearsOfEachRoundAndMayCancel() {
    List<String> heard = new ArrayList<>();
    SearchListener listener =
        new SearchListener() {
          @Override
          public void roundStarted(int round, int rounds, List<Candidate> modules, long target) {
            heard.add(round + "/" + rounds + " of " + modules.size() + " to " + target);
          }

          @Override
          public void roundFinished(PruningRound round, int rounds) {
            heard.add(round.index() + " left " + round.parameters());
          }

          @Override
          public boolean cancelled() {
            return heard.size() >= 4;
          }
        };
    Scores scores = byDepth();
    assertThrows(
        CancellationException.class,
        () ->
            IterativePruning.run(
                Scores.space(6), WEIGHT, PruningSettings.of(90), scores, listener));
    assertEquals(4, heard.size());
    assertEquals("1/3 of 12 to 150", heard.get(0));
    assertEquals(2, scores.stages.size());
  }
}
