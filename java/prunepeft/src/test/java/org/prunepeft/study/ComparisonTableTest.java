package org.prunepeft.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Metric;
import org.prunepeft.study.MethodComparison.Conclusion;

class ComparisonTableTest {
  private static final TaskAndModel WORDS = new TaskAndModel("words", "tiny");
  private static final Arm RANDOM = new Arm("random", "0.25");
  private static final Arm SEARCH = new Arm("search", "0.25");
  private static final Arm SUPERNET = new Arm("supernet", null);

  private static StudyRun run(
      TaskAndModel taskAndModel, Arm arm, long seed, int draw, double test) {
    return new StudyRun(taskAndModel, arm, "1e-3", seed, draw, result(test, 100, test));
  }

  private static RunResult result(double test, long parameters, double validation) {
    return new RunResult(
        Metric.ACCURACY,
        test,
        Map.of("accuracy", validation),
        parameters,
        400,
        new Costs(null, new PhaseCost(1, 2, null), null, null));
  }

  private static List<StudyRun> runs(Arm arm, double... bySeed) {
    List<StudyRun> runs = new ArrayList<>();
    for (int seed = 0; seed < bySeed.length; seed++) {
      runs.add(run(WORDS, arm, seed, 0, bySeed[seed]));
    }
    return runs;
  }

  @SafeVarargs
  private static List<StudyRun> all(List<StudyRun>... runs) {
    return Stream.of(runs).flatMap(List::stream).toList();
  }

  private static MethodComparison toRandom(List<StudyRun> runs, Arm arm) {
    return of(ComparisonTable.of(runs, List.of("random")).get(0).comparisons(), arm);
  }

  private static MethodComparison of(List<MethodComparison> comparisons, Arm arm) {
    return comparisons.stream().filter(one -> one.arm().equals(arm)).findFirst().orElseThrow();
  }

  @Test
  void aSeedsValueIsTheMeanOfItsDraws() {
    List<StudyRun> runs =
        List.of(
            run(WORDS, RANDOM, 0, 0, 0.5),
            run(WORDS, RANDOM, 0, 1, 0.7),
            run(WORDS, RANDOM, 1, 0, 0.8));
    ComparisonTable.MethodResult row =
        ComparisonTable.of(runs, List.of("random")).get(0).row(RANDOM).orElseThrow();
    assertEquals(Map.of(0L, 0.6, 1L, 0.8), row.bySeed());
    assertEquals(0.7, row.test().mean(), 1e-12);
    assertEquals(2, row.test().count());
  }

  @Test
  void methodsAreComparedOnTheSeedsThatBothHave() {
    List<StudyRun> runs = all(runs(RANDOM, 0.5, 0.6), runs(SEARCH, 0.6, 0.8, 0.1));
    MethodComparison one = toRandom(runs, SEARCH);
    assertEquals(2, one.difference().pairs());
    assertEquals(0.15, one.difference().mean(), 1e-12);
  }

  @Test
  void aDifferenceWhoseIntervalHoldsZeroIsNone() {
    List<StudyRun> runs =
        all(
            runs(RANDOM, 0.5, 0.6, 0.7),
            runs(SEARCH, 0.7, 0.9, 0.7),
            runs(SUPERNET, 0.6, 0.701, 0.8));
    ComparisonTable table = ComparisonTable.of(runs, List.of("random")).get(0);
    MethodComparison search = of(table.comparisons(), SEARCH);
    assertTrue(search.difference().student().holdsZero());
    assertEquals(Conclusion.NO_DIFFERENCE, search.conclusion());
    assertEquals(Conclusion.BETTER, of(table.comparisons(), SUPERNET).conclusion());
    List<StudyRun> turned = all(runs(SUPERNET, 0.5, 0.6, 0.7), runs(RANDOM, 0.6, 0.701, 0.8));
    assertEquals(Conclusion.WORSE, toRandom(turned, SUPERNET).conclusion());
  }

  @Test
  void aDifferenceThatHolmsCorrectionTakesBackIsNone() {
    // Alone its p is 0.049; of two comparisons it is 0.097.
    double[] base = {0, 0, 0, 0};
    double[] shifted = {0.1, 0.3, 0.2, 0.5};
    List<StudyRun> two = all(runs(RANDOM, base), runs(SEARCH, shifted));
    MethodComparison alone = toRandom(two, SEARCH);
    assertEquals(Conclusion.BETTER, alone.conclusion());
    assertTrue(alone.difference().p() > 0.025 && alone.difference().p() < 0.05);
    List<StudyRun> three = all(two, runs(SUPERNET, 0.1, -0.1, 0.2, -0.1));
    MethodComparison corrected = toRandom(three, SEARCH);
    assertEquals(2 * alone.difference().p(), corrected.adjusted(), 1e-12);
    assertEquals(Conclusion.NO_DIFFERENCE, corrected.conclusion());
  }

  @Test
  void aPairThatIsComparedBothWaysCountsOnce() {
    List<StudyRun> runs = all(runs(RANDOM, 0.1, 0.2), runs(SEARCH, 0.4, 0.2));
    ComparisonTable table = ComparisonTable.of(runs, List.of("random", "search")).get(0);
    assertEquals(2, table.comparisons().size());
    table.comparisons().forEach(one -> assertEquals(one.difference().p(), one.adjusted(), 1e-12));
  }

  @Test
  void aMethodWithoutABudgetIsInTheTableOfEachBudget() {
    List<StudyRun> runs =
        all(runs(SUPERNET, 0.9), runs(new Arm("search", "0.5"), 0.8), runs(SEARCH, 0.7));
    List<ComparisonTable> tables = ComparisonTable.of(runs, List.of("supernet"));
    assertEquals(List.of("0.5", "0.25"), tables.stream().map(ComparisonTable::budget).toList());
    for (ComparisonTable table : tables) {
      assertEquals(
          List.of("supernet", "search"),
          table.rows().stream().map(row -> row.arm().method()).collect(Collectors.toList()));
    }
  }

  /** In the table of each budget they would be tested, and corrected for, again. */
  @Test
  void methodsWithoutABudgetAreComparedWithOneAnotherOnce() {
    Arm head = new Arm("head", null);
    List<StudyRun> runs =
        all(
            runs(SUPERNET, 0.9, 0.8, 0.7),
            runs(head, 0.5, 0.6, 0.4),
            runs(new Arm("search", "0.5"), 0.8, 0.6, 0.7),
            runs(SEARCH, 0.7, 0.5, 0.7));
    TaskAndModel other = new TaskAndModel("numbers", "tiny");
    List<StudyRun> more = new ArrayList<>(runs);
    runs.forEach(run -> more.add(run(other, run.arm(), run.seed(), 0, 0.9 * run.result().test())));
    List<String> compared = List.of("supernet");
    List<ComparisonTable> tables = ComparisonTable.of(more, compared);
    assertEquals(
        Arrays.asList(null, "0.5", "0.25", null, "0.5", "0.25"),
        tables.stream().map(ComparisonTable::budget).toList());
    for (ComparisonTable table : tables) {
      assertEquals(1, table.comparisons().size());
      Arm arm = table.comparisons().get(0).arm();
      assertEquals(table.budget(), arm.budget());
      assertEquals(
          table.comparisons().get(0).difference().p(), table.comparisons().get(0).adjusted());
    }
    List<OverallTable> overall = OverallTable.of(tables, compared);
    assertEquals(
        Arrays.asList(null, "0.5", "0.25"), overall.stream().map(OverallTable::budget).toList());
    overall.forEach(table -> assertEquals(1, table.comparisons().size()));
  }

  @Test
  void overTasksRanksAreOfThoseThatHaveAllMethodsAndDifferencesOfThoseThatHaveBoth() {
    TaskAndModel other = new TaskAndModel("numbers", "tiny");
    TaskAndModel third = new TaskAndModel("third", "tiny");
    List<StudyRun> runs = new ArrayList<>(all(runs(RANDOM, 0.5, 0.6), runs(SEARCH, 0.7, 0.6)));
    for (long seed = 0; seed < 2; seed++) {
      runs.add(run(other, RANDOM, seed, 0, 0.3 + 0.1 * seed));
      runs.add(run(other, SEARCH, seed, 0, 0.2));
      runs.add(run(third, SEARCH, seed, 0, 0.9));
    }
    List<String> compared = List.of("random");
    OverallTable table = OverallTable.of(ComparisonTable.of(runs, compared), compared).get(0);
    OverallTable.MethodRank random = table.rows().get(0);
    assertEquals(2, random.tables());
    assertEquals(2, random.ranked());
    assertEquals(1.5, random.rank());
    assertEquals(3, table.rows().get(1).tables());
    MethodComparison search = of(table.comparisons(), SEARCH);
    // 0.2, 0 and -0.1, -0.2.
    assertEquals((0.1 - 0.15) / 2, search.difference().mean(), 1e-12);
    assertEquals(4, search.difference().pairs());
  }

  @Test
  void oneTaskAndModelHasNoTableOverAll() {
    List<ComparisonTable> tables = ComparisonTable.of(runs(RANDOM, 0.5), List.of("random"));
    assertEquals(List.of(), OverallTable.of(tables, List.of("random")));
  }

  @Test
  void runsOfDifferentMetricsAreNotCompared() {
    RunResult other =
        new RunResult(
            Metric.MACRO_F1,
            0.5,
            Map.of("macro_f1", 0.5),
            100,
            400,
            new Costs(null, new PhaseCost(1, 2, null), null, null));
    List<StudyRun> runs = new ArrayList<>(runs(RANDOM, 0.5));
    TaskAndModel elsewhere = new TaskAndModel("numbers", "tiny");
    runs.add(new StudyRun(elsewhere, SEARCH, "1e-3", 0, 0, other));
    assertEquals(2, ComparisonTable.of(runs, List.of("random")).size());
    runs.add(new StudyRun(WORDS, SEARCH, "1e-3", 0, 0, other));
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> ComparisonTable.of(runs, List.of("random")));
    assertTrue(
        e.getMessage().contains("task words and model tiny can't be compared"), e.getMessage());
    assertTrue(e.getMessage().contains("accuracy, macro_f1"), e.getMessage());
  }

  @Test
  void theRateWithTheBestValidationIsChosenAndOfEqualOnesTheLowest() {
    Map<String, RunResult> results =
        Map.of(
            "4e-3", result(0.1, 1, 0.8),
            "2e-3", result(0.2, 1, 0.9),
            "0.001", result(0.3, 1, 0.9),
            "8e-3", result(0.9, 1, 0.1));
    assertEquals("0.001", RateChoice.of(results, null));
    assertEquals("0.001", RateChoice.of(results, "accuracy"));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> RateChoice.of(results, "f1"));
    assertTrue(e.getMessage().contains("chosen by f1"), e.getMessage());
  }

  @Test
  void aRateWhoseRunDivergedIsWorseThanAllThatDidNot() {
    Map<String, RunResult> results = new LinkedHashMap<>();
    results.put("1e-1", null);
    results.put("1e-3", result(0.1, 1, 0.0));
    assertEquals("1e-3", RateChoice.of(results, null));
    results.put("1e-3", null);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> RateChoice.of(results, null));
    assertEquals(
        "training diverged at all learning rates that were tried: 1e-1, 1e-3; try lower ones",
        e.getMessage());
  }

  @Test
  void whatASearchCostIsARatioToItsTraining() {
    assertEquals(
        0.5, new Costs(new PhaseCost(3, 1, null), new PhaseCost(1, 2, null), null, null).ratio());
    assertTrue(Double.isNaN(new Costs(null, new PhaseCost(1, 2, null), null, null).ratio()));
  }
}
