package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Schema;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.PruningRound.Information;
import org.prunepeft.search.Stage;
import org.prunepeft.search.StageKind;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.measured.Comparison;
import org.prunepeft.search.measured.Comparison.Rival;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.Spread;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

class LeadTest {
  private static final TrainOutcome OUTCOME =
      KnownRun.outcome(KnownRun.right(20), KnownRun.right(36));

  private static final Comparison AGAINST_RANDOM =
      new Comparison(Rival.RANDOM, new Estimate(0.0375, 0.0115, 0.0636));

  private static final Comparison NOT_AGAINST_RANDOM =
      new Comparison(Rival.RANDOM, new Estimate(0.0075, -0.0115, 0.0265));

  private static final Comparison AGAINST_SUPERNET =
      new Comparison(Rival.SUPERNET, new Estimate(-0.0125, -0.0468, 0.0221));

  private static List<String> lead(SearchOutcome outcome) {
    return Lead.of(outcome, KnownRun.SPACE, KnownRun.TIMES, KnownRun.TARGETS);
  }

  private static List<String> measured(boolean matters, Comparison... comparisons) {
    MeasuredResult result =
        KnownRun.measured(
            matters, new Spread(0, 0, 0, new Estimate(0, 0, 0)), KnownRun.KEPT, comparisons);
    return measured(result);
  }

  private static List<String> measured(MeasuredResult result) {
    return lead(new SearchOutcome(null, result, null, OUTCOME, 0, 6));
  }

  private static List<String> pruned(Information... informations) {
    List<PruningRound> rounds =
        Stream.of(informations)
            .map(
                information ->
                    new PruningRound(
                        new Stage(StageKind.ROUND, 1, true, 1),
                        96,
                        List.of(),
                        List.of(),
                        List.of(),
                        List.of(),
                        List.of(),
                        KnownRun.KEPT,
                        information,
                        Optional.empty()))
            .toList();
    PruningResult result = new PruningResult(KnownRun.SPACE, Strategy.all(), rounds);
    return lead(new SearchOutcome(result, null, null, OUTCOME, 2, 4));
  }

  @Test
  void ofAMeasuredSearchItSaysHowGoodForHowMuchAndHowSure() {
    List<String> lines = measured(true, AGAINST_RANDOM, AGAINST_SUPERNET);
    assertEquals(7, lines.size());
    assertEquals(
        "test accuracy 90.00 %, macro F1 90.00 % (validation 90.00 %; linear head on the frozen encoder: test 50.00 %)  ",
        lines.get(0));
    assertTrue(
        lines
            .get(1)
            .matches(
                "against the head alone: \\+40\\.00 points, 95 % interval \\+2\\d\\.\\d\\d to \\+5\\d\\.\\d\\d  "),
        lines.get(1));
    assertEquals(
        List.of(
            "against the supernet: measured in the supernet before the retraining: -1.25 points of accuracy, 95 % interval -4.68 to +2.21, holds zero  ",
            "trainable parameters 32 of the supernet's 192 (16.7 %), head apart  ",
            "search 6.0 s, retraining 3.6 s: ratio 1.67  ",
            "training all modules for 2 epochs would take about 9.6 s here, predicted; the retraining took 0.38 of that, search and retraining together 1.00  ",
            "how sure: which modules are kept matters here, by the log-likelihood of the right class; measured in the supernet, the choice against random subsets of the budget: +3.75 points, 95 % interval +1.15 to +6.36"),
        lines.subList(2, 7));
  }

  @Test
  void whereNothingDiffersItSaysSo() {
    assertEquals(
        "how sure: which modules are kept makes no measurable difference here; measured in the supernet, the choice against random subsets of the budget: +0.75 points, 95 % interval -1.15 to +2.65, holds zero",
        measured(false, NOT_AGAINST_RANDOM, AGAINST_SUPERNET).get(6));
    assertEquals(
        "against the supernet: it is the supernet, all modules are kept  ",
        measured(false, AGAINST_RANDOM).get(2));
  }

  @Test
  void whereTheIntervalSaysOtherwiseItNamesWhatEachIsOf() {
    assertEquals(
        "how sure: which modules are kept matters here, by the log-likelihood of the right class, though no difference shows in accuracy; measured in the supernet, the choice against random subsets of the budget: +0.75 points, 95 % interval -1.15 to +2.65, holds zero",
        measured(true, NOT_AGAINST_RANDOM).get(6));
    assertEquals(
        "how sure: which modules are kept makes no measurable difference here, by the log-likelihood of the right class, though one shows in accuracy; measured in the supernet, the choice against random subsets of the budget: +3.75 points, 95 % interval +1.15 to +6.36",
        measured(false, AGAINST_RANDOM).get(6));
    assertEquals(
        "how sure: which modules are kept matters here, by the log-likelihood of the right class",
        measured(true).get(6));
  }

  @Test
  void ofAGainThatIsNegligibleItSaysWhereItShows() {
    Spread spread = new Spread(0, 0, 0, new Estimate(0, 0, 0));
    assertEquals(
        "how sure: the log-likelihood of the right class shows a gain over random subsets of the budget, but in accuracy it is at most 2.00 points; measured in the supernet, the choice against random subsets of the budget: +0.75 points, 95 % interval -1.15 to +2.65, holds zero",
        measured(
                KnownRun.withNegligibleGain(
                    KnownRun.measured(false, spread, KnownRun.KEPT, NOT_AGAINST_RANDOM)))
            .get(6));
  }

  @Test
  void ofASearchByPruningItSaysWhatWasNotMeasured() {
    List<String> lines = pruned(Information.RELIABLE, Information.NONE, Information.RELIABLE);
    assertEquals(
        "against the supernet: not known, all modules were not trained for as long; `train --modules supernet` with the same task, model and training options does  ",
        lines.get(2));
    assertEquals(
        "search 6.0 s (warm-up 2.0 s, rounds 4.0 s), retraining 3.6 s: ratio 1.67  ", lines.get(4));
    assertEquals(
        "how sure: the scores of 2 of 3 rounds were reliable: those from one half of the examples and from the other agree by more than chance; whether other modules would do as well, only `search --strategy measured` measures",
        lines.get(6));
    assertEquals(
        "how sure: the scores of 1 of 1 round were reliable: those from one half of the examples and from the other agree by more than chance; whether other modules would do as well, only `search --strategy measured` measures",
        pruned(Information.RELIABLE).get(6));
  }

  @Test
  void whereTimesAreNotKnownItPredictsNone() {
    SearchOutcome outcome =
        new SearchOutcome(
            null,
            KnownRun.measured(
                true, new Spread(0, 0, 0, new Estimate(0, 0, 0)), KnownRun.KEPT, AGAINST_RANDOM),
            null,
            OUTCOME,
            0,
            6);
    List<String> known = new ArrayList<>(lead(outcome));
    assertTrue(known.remove(5).startsWith("training all modules for "));
    assertEquals(
        known,
        Lead.of(outcome, KnownRun.SPACE, MachineTimes.unknown(KnownRun.WORK), KnownRun.TARGETS));
  }

  @Test
  void theHeadAloneIsNotComparedWithItself() {
    Evaluation head = KnownRun.right(20);
    TrainOutcome alone = new TrainOutcome(List.of(), 0, false, 192, head, head, head, 1, 2, 1, 3.6);
    assertEquals(
        List.of(
            "test accuracy 50.00 %, macro F1 50.00 % (validation 50.00 %; linear head on the frozen encoder: test 50.00 %)  ",
            "trainable parameters 0 of the supernet's 192 (0.0 %), head apart  ", "training 3.6 s"),
        Lead.of(alone, KnownRun.TARGETS));
    TrainOutcome full = new TrainOutcome(List.of(), 192, true, 192, head, head, head, 1, 2, 1, 3.6);
    assertTrue(Lead.of(full, KnownRun.TARGETS).get(1).startsWith("against the head alone: "));
  }

  @Test
  void ofOtherSearchesItSaysThatTheyDoNotMeasureIt() {
    PeerResult peer =
        new PeerResult(
            "gates",
            96,
            new PeerResult.TrainingEffort(1, 1, 10),
            KnownRun.ALL.stream()
                .map(
                    module ->
                        new PeerResult.ScoredModule(module, 1, KnownRun.KEPT.contains(module)))
                .toList(),
            List.of());
    assertEquals(
        "how sure: this search does not measure it; `search --strategy measured` does",
        lead(new SearchOutcome(null, null, peer, OUTCOME, 0, 6)).get(6));
  }

  @Test
  void ofATrainingItSaysHowMuchBetterThanTheHeadAloneItIs() {
    List<String> lines =
        Lead.of(KnownRun.outcome(KnownRun.right(30), KnownRun.right(30)), KnownRun.TARGETS);
    assertEquals(
        "against the head alone: +0.00 points, 95 % interval +0.00 to +0.00: no difference that shows  ",
        lines.get(1));
    assertEquals("training 3.6 s", lines.get(3));
  }

  @Test
  void aCorrelationsDifferenceIsNoPercentage() {
    double[] targets = {1, 2, 3, 4, 5, 6, 7, 8};
    Schema schema = Schema.regression();
    Evaluation head =
        Evaluation.of(new Predictions(schema, new float[] {8, 7, 6, 5, 4, 3, 2, 1}), targets);
    Evaluation trained =
        Evaluation.of(new Predictions(schema, new float[] {1, 2, 3, 4, 5, 6, 7, 8}), targets);
    assertEquals(
        "against the head alone: +2.0000, 95 % interval +2.0000 to +2.0000  ",
        Lead.of(KnownRun.outcome(head, trained), targets).get(1));
  }
}
