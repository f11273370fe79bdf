package org.prunepeft.search;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.PruningRound.Information;
import org.prunepeft.search.TrainingHealth.State;

class TrainingHealthTest {
  private static final TrainingHealth GOOD = TrainingHealth.of(1, 0.5);
  private static final TrainingHealth RISEN = TrainingHealth.of(1, 3);
  private static final double[] UP = {1, 2, 3, 4, 5, 6};

  /** Scores whose halves agree wholly. */
  private static Scores reliable() {
    return new Scores()
        .set("gradient", "lora", UP)
        .set("gradient", "adapter", UP)
        .setHalves("gradient", "lora", UP, UP)
        .setHalves("gradient", "adapter", UP, UP);
  }

  private static List<PruningRound> rounds(Scores scores) {
    return IterativePruning.run(
            Scores.space(6),
            Strategy.single(Criteria.GRADIENT),
            PruningSettings.of(90),
            scores,
            SearchListener.NONE)
        .rounds();
  }

  private static Strategy warmUp(Scores scores) {
    return WarmUp.run(
        Scores.space(6), Criteria.six(), WarmUpSettings.DEFAULT, scores, SearchListener.NONE);
  }

  @Test
  void verdictOverTwoLosses() {
    assertEquals(State.HEALTHY, TrainingHealth.of(0.7, 0.6).state());
    assertEquals(State.NO_GAIN, TrainingHealth.of(0.7, 0.7).state());
    assertEquals(State.NO_GAIN, TrainingHealth.of(0.7, 0.696).state());
    assertEquals(State.NO_GAIN, TrainingHealth.of(0, 0).state());
    assertEquals(State.DIVERGED, TrainingHealth.of(0.7, 0.72).state());
    // New modules may do harm at first: few steps don't make it good, but have not diverged.
    assertEquals(State.NO_GAIN, TrainingHealth.of(0.7, 0.8, 0.75).state());
    assertEquals(State.NO_GAIN, TrainingHealth.of(0.7, 0.8, 0.7).state());
    assertEquals(State.HEALTHY, TrainingHealth.of(0.7, 0.8, 0.6).state());
    assertEquals(State.DIVERGED, TrainingHealth.of(0.7, 0.8, 0.82).state());
    assertEquals(State.DIVERGED, TrainingHealth.of(0.7, 0.6, 0.72).state());
    for (double none : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      assertEquals(
          new TrainingHealth(
              0.7,
              OptionalDouble.empty(),
              State.DIVERGED,
              Optional.of("the loss at its end is " + none)),
          TrainingHealth.of(0.7, none));
    }
  }

  @Test
  void halvesOfASickTrainingAgreeAndSayNothing() {
    assertEquals(Information.RELIABLE, rounds(reliable()).get(0).information());
    assertEquals(
        Information.RELIABLE, rounds(reliable().setHealth(stage -> GOOD)).get(0).information());
    PruningRound sick = rounds(reliable().setHealth(stage -> RISEN)).get(0);
    assertEquals(Information.NONE, sick.information());
    assertEquals(Optional.of(RISEN), sick.training());
    assertEquals(Optional.of("diverged"), sick.sickness());
    assertEquals(Optional.of("its loss rose from 1.000 to 3.000"), sick.divergence());
  }

  @Test
  void aSecondAttemptKeepsWhyTheFirstDivergedAndSaysWhyItDidItself() {
    TrainingHealth lost = TrainingHealth.diverged(1, "the loss is NaN at step 3 of 5");
    List<PruningRound> rounds =
        rounds(
            reliable()
                .setHealth(stage -> stage.rate() == 1 ? lost : stage.index() == 1 ? GOOD : RISEN));
    assertEquals(GOOD.state(), rounds.get(0).training().get().state());
    assertEquals(lost.divergence(), rounds.get(0).divergence());
    assertEquals(RISEN, rounds.get(1).training().get());
    Strategy strategy = warmUp(reliable().setHealth(stage -> lost));
    for (WarmUpTurn turn : strategy.warmUp().get().turns()) {
      assertEquals(lost, turn.training().get());
    }
    assertEquals(strategy, Strategy.fromMap(strategy.toMap()));
  }

  @Test
  void sickRoundIsTrainedOnceMoreFromNewWeightsAtHalfTheRates() {
    Scores scores =
        reliable().setHealth(stage -> stage.index() == 2 && stage.rate() == 1 ? RISEN : GOOD);
    List<PruningRound> rounds = rounds(scores);
    assertEquals(
        List.of(
            new Stage(StageKind.ROUND, 1, true),
            new Stage(StageKind.ROUND, 2, true),
            new Stage(StageKind.ROUND, 2, true, 0.5),
            new Stage(StageKind.ROUND, 3, true)),
        scores.stages);
    assertEquals(0.5, rounds.get(1).stage().rate());
    assertEquals(Information.RELIABLE, rounds.get(1).information());
    assertEquals(Optional.empty(), rounds.get(1).sickness());
  }

  @Test
  void trainingThatStaysWhereItBeganIsNotMadeAgainAndHasNoInformation() {
    TrainingHealth still = TrainingHealth.of(1, 1);
    Scores scores = reliable().setHealth(stage -> still);
    List<PruningRound> rounds = rounds(scores);
    assertEquals(3, scores.stages.size());
    for (PruningRound round : rounds) {
      assertEquals(Information.NONE, round.information());
      assertEquals(Optional.of("ended no better than without modules"), round.sickness());
    }
  }

  @Test
  void roundThatStaysSickIsMadeTwiceAndTheSearchGoesOn() {
    Scores scores = reliable().setHealth(stage -> RISEN);
    List<PruningRound> rounds = rounds(scores);
    assertEquals(6, scores.stages.size());
    assertTrue(rounds.get(2).parameters() <= 90);
  }

  @Test
  void numbersThatAreNoneTellNoModulesApart() {
    List<Candidate> modules = Scores.space(6).candidates();
    TrainingHealth lost = TrainingHealth.of(1, Double.NaN);
    List<PruningRound> rounds =
        IterativePruning.run(
                Scores.space(6),
                Strategy.all(),
                PruningSettings.of(90),
                (stage, left) -> Observation.blank(left, lost),
                SearchListener.NONE)
            .rounds();
    PruningRound first = rounds.get(0);
    assertEquals(modules.size(), first.verdicts().size());
    first.verdicts().forEach(verdict -> assertEquals(1, verdict.probability()));
    assertTrue(first.readings().stream().noneMatch(Reading::informative));
    assertEquals(Information.NONE, first.information());
  }

  @Test
  void statisticsWithANumberThatIsNoneAreNotFinite() {
    ModuleStatistics good = new ModuleStatistics(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    ModuleStatistics bad = new ModuleStatistics(1, 1, 1, 1, 1, Double.NaN, 1, 1, 1, 1, 1);
    assertTrue(new Observation(Map.of("a", good), Map.of(), Map.of()).isFinite());
    Observation odd = new Observation(Map.of("a", good, "b", bad), Map.of(), Map.of());
    assertFalse(odd.isFinite());
    assertEquals(Optional.of("b"), odd.nonFinite());
  }

  @Test
  void sickTurnOfTheWarmUpHasNoVote() {
    Scores scores = reliable().setHealth(stage -> stage.index() == 1 ? GOOD : RISEN);
    Strategy strategy = warmUp(scores);
    for (WarmUpTurn turn : strategy.warmUp().get().turns()) {
      boolean counts = turn.turn() == 1 && turn.criterion().equals("gradient");
      assertEquals(counts ? 1 : 0, turn.removed().size(), turn.toString());
    }
    // The gradient's second turn was tried at half the rates too; no chain had a third.
    assertEquals(
        List.of(
            new Stage(StageKind.WARM_UP, 1, true),
            new Stage(StageKind.WARM_UP, 2, true),
            new Stage(StageKind.WARM_UP, 2, true, 0.5)),
        scores.stages);
    assertEquals(strategy, Strategy.fromMap(strategy.toMap()));
  }

  @Test
  void warmUpWithoutAHealthyTrainingLeavesAllCriteriaEverywhere() {
    Strategy strategy = warmUp(reliable().setHealth(stage -> RISEN));
    for (Partition partition : strategy.partitioning().partitions(Scores.space(6))) {
      assertEquals(6, strategy.criteriaOf(partition).size());
    }
    assertEquals(strategy, Strategy.fromMap(strategy.toMap()));
  }
}
