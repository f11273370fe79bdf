package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.MeasuredSettings;
import org.prunepeft.search.measured.Spread;

class MeasuredSummaryTest {
  private static final Spread SPREAD =
      new Spread(0.0262, 0.0167, 0.0202, new Estimate(0.59, 0.2, 0.8));

  private static List<String> summary(Spread spread, List<Candidate> kept) {
    return summary(KnownRun.measured(true, spread, kept));
  }

  private static List<String> summary(MeasuredResult result) {
    return MeasuredSummary.of(result, KnownRun.CLASSES, KnownRun.TIMES);
  }

  private static void assertHas(List<String> lines, String line) {
    assertTrue(lines.contains(line), String.join("\n", lines));
  }

  /** Whatever the width of its columns. */
  private static void assertHasRow(List<String> lines, String row) {
    assertHas(lines.stream().map(line -> line.replaceAll(" +", " ")).toList(), row);
  }

  @Test
  void rowsOfTheFrontHaveTheirCostsInUnitsAndWhatWasMeasured() {
    List<String> lines = summary(SPREAD, KnownRun.KEPT);
    assertHasRow(
        lines,
        "| row | parameters | training-time | latency | memory | below, predicted | below, measured | modules |");
    assertHasRow(
        lines,
        "| 1 | 32 | 0.32, 3.8 s | 0.667, 25.6 ms | 0 MB | +1.35 (-1.85 to +4.54) | +1.00 (-2.00 to +4.00) | **kept** 1.lora |");
    assertHasRow(
        lines,
        "| 2 | 192 | 1.00, 9.6 s | 1.000, 38.4 ms | 0.5 kB | 0 | 0 | 0.adapter, 0.lora, 1.adapter, 1.lora |");
  }

  @Test
  void whereTimesAreNotKnownSharesAreLeft() {
    List<String> lines =
        MeasuredSummary.of(
            KnownRun.measured(true, SPREAD, KnownRun.KEPT),
            KnownRun.CLASSES,
            MachineTimes.unknown(KnownRun.WORK));
    assertHasRow(
        lines,
        "| 1 | 32 | 0.32 | 0.667 | 0 MB | +1.35 (-1.85 to +4.54) | +1.00 (-2.00 to +4.00) | **kept** 1.lora |");
    assertHas(
        lines,
        "training-time and latency are shares of all modules', by counted multiplications. memory is what predictions need for modules beside the encoder.");
  }

  @Test
  void withoutADifferenceItSaysByWhatNoOtherIsCheaper() {
    assertHas(
        summary(KnownRun.measured(false, SPREAD, KnownRun.KEPT)),
        "Which modules are kept makes no measurable difference here: kept is the best by what was measured; no subset of the budget that was measured and may be as good costs 5 % less by parameters.");
  }

  @Test
  void aGainThatIsNegligibleIsSaidAsSuch() {
    assertHas(
        summary(KnownRun.withNegligibleGain(KnownRun.measured(false, SPREAD, KnownRun.KEPT))),
        "The log-likelihood of the right class shows a gain over random subsets of the budget, but in accuracy it is at most 2.00 points: kept is the best by what was measured; no subset of the budget that was measured and may be as good costs 5 % less by parameters.");
  }

  @Test
  void ofLatencyASavingIsAShareOfWhatModulesAdd() {
    MeasuredSettings settings =
        MeasuredSettings.of(KnownRun.SPACE, 96)
            .withCosts(
                ConfigurationCosts.of(List.of("latency"), KnownRun.ENCODER, KnownRun.SPACE, true));
    assertHas(
        summary(KnownRun.measured(settings, false, Optional.of(SPREAD), KnownRun.KEPT)),
        "Which modules are kept makes no measurable difference here: kept is the best by what was measured; no subset of the budget that was measured and may be as good costs 5 % less by latency, of what modules add to it.");
  }

  @Test
  void aToleranceThatNothingMeetsIsSaid() {
    MeasuredSettings settings = MeasuredSettings.of(KnownRun.SPACE, 96);
    assertHas(
        summary(
            KnownRun.measured(
                settings.withTolerance(OptionalDouble.of(0.005)),
                true,
                Optional.of(SPREAD),
                KnownRun.KEPT)),
        "The tolerance decided nothing: no configuration within the budget is predicted to lie, a standard error added, within 0.50 points of all modules; the nearest lies 1.35 below, with a standard error of 1.63.");
    assertHas(
        summary(
            KnownRun.measured(
                settings.withTolerance(OptionalDouble.of(0.005)).withBudget(31),
                true,
                Optional.of(SPREAD),
                KnownRun.KEPT)),
        "The tolerance decided nothing: no configuration within the budget is predicted to lie, a standard error added, within 0.50 points of all modules.");
    assertTrue(
        summary(SPREAD, KnownRun.KEPT).stream().noneMatch(line -> line.contains("tolerance")));
  }

  @Test
  void ofOneRandomSubsetAloneNoSpreadIsSaid() {
    List<String> lines =
        summary(
            KnownRun.measured(
                MeasuredSettings.of(KnownRun.SPACE, 192), true, Optional.empty(), KnownRun.KEPT));
    assertHas(
        lines,
        "All random subsets of the budget are the same one: how much others would deviate is not known.");
    assertTrue(lines.stream().noneMatch(line -> line.contains("Beyond noise")));
  }

  @Test
  void ofAChoiceThatIsNotInTheFrontItSaysSo() {
    String said =
        "What is kept is not among them: by accuracy one of them is predicted to be as good, and costs no more by any objective.";
    assertHas(summary(SPREAD, List.of(KnownRun.ALL.get(0))), said);
    assertTrue(!summary(SPREAD, KnownRun.KEPT).contains(said));
  }

  @Test
  void spreadOfRandomSubsetsIsSharedOutBetweenNoiseAndWhatIsBeyond() {
    List<String> lines = summary(SPREAD, KnownRun.KEPT);
    assertHas(
        lines,
        "Random subsets of the budget deviate by 2.62 points as measured, where noise alone would give 1.67.");
    assertHas(
        lines,
        "Beyond noise they deviate by 2.02 points: 59 % of the variance, 95 % interval 20 to 80 %.");
    assertHas(
        summary(new Spread(0.017, 0.0167, 0.003, new Estimate(0.03, 0, 0.4)), KnownRun.KEPT),
        "Beyond noise they deviate by 0.30 points: 3 % of the variance, 95 % interval 0 to 40 %, so that it may all be noise.");
  }
}
