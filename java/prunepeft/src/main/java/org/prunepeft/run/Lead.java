package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.prunepeft.data.Metric;
import org.prunepeft.data.Schema;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.PruningRound.Information;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Comparison;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.text.Units;
import org.prunepeft.train.PairedDifference;

/** What a summary says first, in Markdown: how good, for how much, and how sure. */
final class Lead {
  private final List<String> lines = new ArrayList<>();
  private final TrainOutcome outcome;

  private Lead(TrainOutcome outcome, double[] targets) {
    this.outcome = outcome;
    line(
        "test %s (validation %s; %s: test %s)  ",
        outcome.test().text(),
        outcome.validation().primaryValueText(),
        outcome.headName(),
        outcome.head().primaryValueText());
    if (outcome.full() || !outcome.modules().isEmpty()) {
      againstHead(targets);
    }
  }

  /**
   * {@return the lines of a training}
   *
   * @param targets of the test examples
   */
  static List<String> of(TrainOutcome outcome, double[] targets) {
    Lead lead = new Lead(outcome, targets);
    lead.parameters();
    lead.line("training %.1f s", outcome.trainingSeconds());
    return lead.lines;
  }

  /**
   * {@return the lines of a search}
   *
   * @param space the supernet
   * @param times what trainings take here
   * @param targets of the test examples
   */
  static List<String> of(
      SearchOutcome outcome, SearchSpace space, MachineTimes times, double[] targets) {
    Lead lead = new Lead(outcome.retrained(), targets);
    lead.againstSupernet(outcome);
    lead.parameters();
    lead.time(outcome, space, times);
    lead.line("how sure: %s", howSure(outcome));
    return lead.lines;
  }

  private void againstHead(double[] targets) {
    Metric metric = outcome.test().primaryMetric();
    PairedDifference value = PairedDifference.of(outcome.test(), outcome.head(), targets);
    boolean share = metric.format(0).endsWith("%");
    line(
        "against %s: %s%s, 95 %% interval %s to %s%s  ",
        outcome.languageModel() ? outcome.headName() : "the head alone",
        difference(share, value.difference()),
        share ? " points" : "",
        difference(share, value.low()),
        difference(share, value.high()),
        outcome.bestEpoch() == 0 && value.low() == 0 && value.high() == 0
            ? ": it is what was kept, no epoch was surely better on validation data"
            : value.holdsZero() ? ": no difference that shows" : "");
  }

  private static String difference(boolean share, double value) {
    return share ? Units.points(value) : String.format(Locale.ROOT, "%+.4f", value);
  }

  private void againstSupernet(SearchOutcome search) {
    MeasuredResult measured = search.measured();
    if (measured == null) {
      line(
          "against the supernet: not known, all modules were not trained for as long; `train --modules supernet` with the same task, model and training options does  ");
      return;
    }
    Optional<Estimate> supernet = against(measured, Comparison.Rival.SUPERNET);
    if (supernet.isEmpty()) {
      line("against the supernet: it is the supernet, all modules are kept  ");
      return;
    }
    line(
        "against the supernet: measured in the supernet before the retraining: %s points of %s, 95 %% interval %s  ",
        Units.points(supernet.get().mean()),
        MeasuredSummary.quantity(outcome.test().predictions().schema()),
        MeasuredSummary.interval(supernet.get()));
  }

  private static Optional<Estimate> against(MeasuredResult measured, Comparison.Rival rival) {
    return measured.comparisons().stream()
        .filter(each -> each.against() == rival)
        .map(Comparison::difference)
        .findFirst();
  }

  private void parameters() {
    line("%s%s  ", outcome.parametersText(), outcome.languageModel() ? "" : ", head apart");
  }

  private void time(SearchOutcome search, SearchSpace space, MachineTimes times) {
    double own = outcome.trainingSeconds();
    line(
        "search %.1f s%s, retraining %.1f s: ratio %.2f  ",
        search.searchSeconds(),
        search.pruning() == null
            ? ""
            : String.format(
                Locale.ROOT,
                " (warm-up %.1f s, rounds %.1f s)",
                search.warmUpSeconds(),
                search.roundSeconds()),
        own,
        search.costRatio());
    if (!times.known()) {
      return;
    }
    double supernet = times.training(space.candidates());
    line(
        "training all modules for %s would take about %s here, predicted; the retraining took %.2f of that, search and retraining together %.2f  ",
        Units.count(times.work().epochs(), "epoch"),
        Units.seconds(supernet),
        own / supernet,
        (search.searchSeconds() + own) / supernet);
  }

  private static String howSure(SearchOutcome search) {
    if (search.measured() != null) {
      return howSure(search.measured(), search.retrained().test().predictions().schema());
    }
    return search.pruning() != null
        ? howSure(search.pruning())
        : "this search does not measure it; `search --strategy measured` does";
  }

  private static String howSure(MeasuredResult measured, Schema schema) {
    boolean matters = measured.placementMatters();
    Optional<Estimate> against = against(measured, Comparison.Rival.RANDOM);
    String random =
        against
            .map(
                estimate ->
                    "; measured in the supernet, the choice against random subsets of the budget: %s points, 95 %% interval %s"
                        .formatted(
                            Units.points(estimate.mean()), MeasuredSummary.interval(estimate)))
            .orElse("");
    if (measured.negligibleGain()) {
      return MeasuredSummary.negligibleGain(measured, schema) + random;
    }
    // What decides whether it matters and what is said of the choice may disagree.
    boolean shows = against.map(estimate -> !estimate.holdsZero()).orElse(matters);
    return (matters
            ? "which modules are kept matters here" + MeasuredSummary.chosenBy(schema)
            : "which modules are kept makes no measurable difference here"
                + (shows ? MeasuredSummary.chosenBy(schema) : ""))
        + (matters == shows
            ? ""
            : ", though "
                + (shows ? "one" : "no difference")
                + " shows in "
                + MeasuredSummary.quantity(schema))
        + random;
  }

  private static String howSure(PruningResult pruning) {
    long reliable =
        pruning.rounds().stream()
            .filter(round -> round.information() == Information.RELIABLE)
            .count();
    return String.format(
        Locale.ROOT,
        "the scores of %d of %s were reliable: those from one half of the examples and from the other agree by more than chance; whether other modules would do as well, only `search --strategy measured` measures",
        reliable,
        Units.count(pruning.rounds().size(), "round"));
  }

  private void line(String format, Object... values) {
    lines.add(String.format(Locale.ROOT, format, values));
  }
}
