package org.prunepeft.run;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.report.MeasuredQuantity;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.Comparison;
import org.prunepeft.search.measured.Configuration;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.ModuleValue;
import org.prunepeft.search.measured.Spread;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.text.Markdown;
import org.prunepeft.text.Units;

/** What a measured search found, in Markdown. Differences are in points: hundredths. */
final class MeasuredSummary {
  private static final String NO_DIFFERENCE =
      "Which modules are kept makes no measurable difference here";

  private static final Map<Comparison.Rival, String> RIVALS =
      Map.of(
          Comparison.Rival.RANDOM, "random subsets of the budget",
          Comparison.Rival.FIRST_LAYERS, "the first layers",
          Comparison.Rival.MIDDLE_LAYERS, "the middle layers",
          Comparison.Rival.LAST_LAYERS, "the last layers",
          Comparison.Rival.SUPERNET, "all modules",
          Comparison.Rival.NONE, "no module");

  private final List<String> lines = new ArrayList<>();
  private final MeasuredResult result;
  private final Schema schema;

  /** What trainings take on this machine. */
  private final MachineTimes times;

  private MeasuredSummary(MeasuredResult result, Schema schema, MachineTimes times) {
    this.result = result;
    this.schema = schema;
    this.times = times;
  }

  /**
   * {@return its lines}
   *
   * @param schema of the task, whose first metric was measured
   * @param times what trainings take on this machine
   */
  static List<String> of(MeasuredResult result, Schema schema, MachineTimes times) {
    MeasuredSummary summary = new MeasuredSummary(result, schema, times);
    summary.choice();
    summary.comparisons();
    summary.values();
    summary.front();
    return summary.lines;
  }

  private void choice() {
    line("## Which modules are kept, and how sure that is");
    line("");
    line(
        switch (result.choice()) {
          case BEST ->
              result.placementMatters()
                  ? "Placement matters here"
                      + chosenBy(schema)
                      + (alikeToRandom()
                          ? ", though no difference to random subsets shows below"
                          : "")
                      + ": kept is the best subset of the budget."
                  : noDifference()
                      + ": kept is the best by what was measured; no subset of the budget that was measured and may be as good costs 5 % less by "
                      + result.settings().objective().name()
                      + (result.settings().objective().fixed() > 0
                          ? ", of what modules add to it"
                          : "")
                      + ".";
          case CHEAPEST ->
              noDifference()
                  + ": kept is the cheapest subset by "
                  + result.decidedBy().orElseThrow()
                  + " that fills the budget and is not measurably worse.";
          case WITHIN_TOLERANCE ->
              "Kept is the cheapest subset by "
                  + result.settings().objective().name()
                  + String.format(
                      Locale.ROOT,
                      " that is predicted to lie, a standard error added, at most %.2f points below all modules.",
                      100 * result.settings().tolerance().orElse(0));
        });
    line("");
    tolerance();
    line(
        String.format(
            Locale.ROOT,
            "%d subsets were measured in one supernet. Modules and subsets were chosen on %d examples, the differences below come from %d others.",
            result.measured().size(),
            result.examples(),
            result.confirmationExamples()));
    line("");
  }

  private String noDifference() {
    if (!result.negligibleGain()) {
      return NO_DIFFERENCE;
    }
    String said = negligibleGain(result, schema);
    return Character.toUpperCase(said.charAt(0)) + said.substring(1);
  }

  /** {@return that a gain shows in what subsets are chosen by, and in the metric hardly any} */
  static String negligibleGain(MeasuredResult result, Schema schema) {
    String score = chosenBy(schema).replace(", by ", "");
    return String.format(
        Locale.ROOT,
        "%s shows a gain over random subsets of the budget, but in %s it is at most %.2f points",
        score.isEmpty() ? "the score" : score,
        quantity(schema),
        100 * result.settings().negligible());
  }

  /** Where there is a tolerance that nothing meets. */
  private void tolerance() {
    OptionalDouble tolerance = result.settings().tolerance();
    if (tolerance.isEmpty() || result.choice() == MeasuredResult.Choice.WITHIN_TOLERANCE) {
      return;
    }
    Optional<Estimate> nearest =
        result.front().stream()
            .filter(each -> !each.modules().isEmpty())
            .filter(each -> Candidate.total(each.modules()) <= result.settings().budget())
            .map(Configuration::belowSupernet)
            .min(Comparator.comparingDouble(below -> below.mean() + below.standardError()));
    line(
        String.format(
            Locale.ROOT,
            "The tolerance decided nothing: no configuration within the budget is predicted to lie, a standard error added, within %.2f points of all modules%s.",
            100 * tolerance.getAsDouble(),
            nearest
                .map(
                    below ->
                        String.format(
                            Locale.ROOT,
                            "; the nearest lies %.2f below, with a standard error of %.2f",
                            100 * below.mean(),
                            100 * below.standardError()))
                .orElse("")));
    line("");
  }

  /** Where subsets are chosen by something else than what is said of them. */
  static String chosenBy(Schema schema) {
    if (schema.kind() == TaskKind.CLASSIFICATION) {
      return ", by the log-likelihood of the right class";
    }
    return MeasuredQuantity.ofAnswers(schema) ? ", by the log-likelihood of the right answer" : "";
  }

  /** {@return what points are hundredths of} */
  static String quantity(Schema schema) {
    return MeasuredQuantity.of(schema).label();
  }

  private boolean alikeToRandom() {
    return result.comparisons().stream()
        .anyMatch(
            each -> each.against() == Comparison.Rival.RANDOM && each.difference().holdsZero());
  }

  private void comparisons() {
    List<List<String>> rows = new ArrayList<>();
    for (Comparison each : result.comparisons()) {
      Estimate difference = each.difference();
      rows.add(
          List.of(
              RIVALS.get(each.against()), Units.points(difference.mean()), interval(difference)));
    }
    table(
        Markdown.table(
            List.of("kept against", "difference in points", "95 % interval"), rows, i -> i > 0));
    line(
        "A point is a hundredth of "
            + quantity(schema)
            + (schema.kind() == TaskKind.REGRESSION
                ? ", the share of the variance that is predicted"
                : "")
            + ". These are differences in the one supernet; after retraining they are usually smaller.  ");
    spread();
    line("");
  }

  private void spread() {
    if (result.spread().isEmpty()) {
      line(
          "All random subsets of the budget are the same one: how much others would deviate is not known.");
      return;
    }
    Spread spread = result.spread().get();
    line(
        String.format(
            Locale.ROOT,
            "Random subsets of the budget deviate by %.2f points as measured, where noise alone would give %.2f.",
            100 * spread.observed(),
            100 * spread.noise()));
    Estimate beyond = spread.beyond();
    line(
        String.format(
            Locale.ROOT,
            "Beyond noise they deviate by %.2f points: %.0f %% of the variance, 95 %% interval %.0f to %.0f %%%s.",
            100 * spread.deviation(),
            100 * beyond.mean(),
            100 * beyond.low(),
            100 * beyond.high(),
            beyond.low() <= 0 ? ", so that it may all be noise" : ""));
  }

  private void values() {
    Map<Candidate, ModuleValue> values =
        result.values().stream()
            .collect(Collectors.toMap(ModuleValue::module, Function.identity()));
    line("## What each module is worth, in points, with its 95 % interval");
    line("");
    table(
        Summary.table(
            result.space(),
            module -> {
              ModuleValue value = values.get(module);
              return value == null
                  ? null
                  : "%s%s (%s)"
                      .formatted(
                          value.kept() ? "**kept** " : "",
                          Units.points(value.value().mean()),
                          range(value.value()));
            }));
  }

  private void front() {
    List<Cost> costs = costs();
    line("## Cheaper and dearer configurations");
    line("");
    line(
        "`train --modules RUN --select ROW` trains one of these from new weights, `--warm-start` beside it on from the supernet's.");
    line("");
    line(
        "Their distance below all modules is in points: as predicted, and as measured on the other examples.");
    line("");
    List<String> heads = new ArrayList<>(List.of("row"));
    costs.forEach(cost -> heads.add(cost.name()));
    heads.addAll(List.of("below, predicted", "below, measured", "modules"));
    List<List<String>> rows = new ArrayList<>();
    for (Configuration configuration : result.front()) {
      boolean all = configuration.modules().size() == result.space().candidates().size();
      List<String> row = new ArrayList<>(List.of("" + (rows.size() + 1)));
      costs.forEach(cost -> row.add(text(cost, configuration.modules())));
      row.add(all ? "0" : below(configuration.belowSupernet()));
      row.add(
          all ? "0" : configuration.confirmed().map(MeasuredSummary::below).orElse("not measured"));
      row.add(
          (configuration.modules().equals(result.kept()) ? "**kept** " : "")
              + names(configuration.modules()));
      rows.add(row);
    }
    table(Markdown.table(heads, rows, i -> i < heads.size() - 1));
    if (result.front().stream().noneMatch(each -> each.modules().equals(result.kept()))) {
      line(
          "What is kept is not among them: by %s one of them is predicted to be as good, and costs no more by any objective."
              .formatted(quantity(schema)));
      line("");
    }
    line(
        "training-time and latency are shares of all modules', by counted multiplications."
            + (times.known()
                ? " Beside them is what they come to on this machine, predicted from the times of this run: a training of %s from new weights, with its validation, and the prediction of an example in batches, with LoRA merged."
                    .formatted(Units.count(times.work().epochs(), "epoch"))
                : "")
            + " memory is what predictions need for modules beside the encoder.");
    line("");
  }

  private static String below(Estimate estimate) {
    return Units.points(estimate.mean()) + " (" + range(estimate) + ")";
  }

  /** {@return the interval in points, such as -0.49 to +5.43, and whether it holds zero} */
  static String interval(Estimate estimate) {
    return range(estimate) + (estimate.holdsZero() ? ", holds zero" : "");
  }

  private static String range(Estimate estimate) {
    return Units.points(estimate.low(), estimate.high());
  }

  private static String names(List<Candidate> modules) {
    return modules.isEmpty()
        ? "none"
        : modules.stream()
            .map(module -> module.name().replace("encoder.layer.", ""))
            .collect(Collectors.joining(", "));
  }

  /** The objectives, and then the other costs that there are. */
  private List<Cost> costs() {
    List<Cost> costs = new ArrayList<>(result.settings().costs());
    List<String> named = costs.stream().map(Cost::name).toList();
    List<String> others =
        MeasuringSettings.OBJECTIVES.stream().filter(name -> !named.contains(name)).toList();
    MachineTimes.Work work = times.work();
    costs.addAll(ConfigurationCosts.of(others, work.encoder(), result.space(), work.frozenOnce()));
    return costs;
  }

  private String text(Cost cost, List<Candidate> modules) {
    double value = cost.of(modules);
    return switch (cost.name()) {
      case ConfigurationCosts.TRAINING_TIME ->
          String.format(Locale.ROOT, "%.2f", value)
              + (times.known() ? ", " + Units.seconds(times.training(modules)) : "");
      case ConfigurationCosts.LATENCY ->
          String.format(Locale.ROOT, "%.3f", value)
              + (times.known() ? ", " + Units.milliseconds(prediction(modules)) : "");
      case ConfigurationCosts.MEMORY -> Units.megabytes(value);
      default -> String.format(Locale.ROOT, "%,.0f", value);
    };
  }

  private double prediction(List<Candidate> modules) {
    return times.prediction(Candidate.total(ConfigurationCosts.own(modules)));
  }

  private void table(String table) {
    table.lines().forEach(lines::add);
    line("");
  }

  private void line(String text) {
    lines.add(text);
  }
}
