package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.measured.Comparison;
import org.prunepeft.search.measured.Configuration;
import org.prunepeft.search.measured.Cost;
import org.prunepeft.search.measured.Estimate;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.measured.ModuleValue;

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

  private MeasuredSummary(MeasuredResult result, Schema schema) {
    this.result = result;
    this.schema = schema;
  }

  /**
   * {@return its lines}
   *
   * @param schema of the task, whose first metric was measured
   */
  static List<String> of(MeasuredResult result, Schema schema) {
    MeasuredSummary summary = new MeasuredSummary(result, schema);
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
                      + chosenBy()
                      + (alikeToRandom()
                          ? ", though no difference to random subsets shows below"
                          : "")
                      + ": kept is the best subset of the budget."
                  : NO_DIFFERENCE
                      + ": kept is the best by what was measured, since no other costs much less.";
          case CHEAPEST ->
              NO_DIFFERENCE
                  + ": kept is the cheapest subset by "
                  + result.decidedBy().orElseThrow()
                  + ".";
          case WITHIN_TOLERANCE ->
              "Kept is the cheapest subset by "
                  + result.settings().objective().name()
                  + " that is predicted to lie at most %.2f points below all modules."
                      .formatted(100 * result.settings().tolerance().orElse(0));
        });
    line("");
    line(
        "%d subsets were measured in one supernet. Modules and subsets were chosen on %d examples, the differences below come from %d others."
            .formatted(result.measured().size(), result.examples(), result.confirmationExamples()));
    line("");
  }

  /** Where subsets are chosen by something else than what is said of them. */
  private String chosenBy() {
    if (schema.kind() == TaskKind.CLASSIFICATION) {
      return ", by the log-likelihood of the right class";
    }
    return choosing() ? ", by the log-likelihood of the right answer" : "";
  }

  /** Whether a language model's answers were measured. */
  private boolean choosing() {
    return schema.kind() == TaskKind.LANGUAGE_MODELING && schema.primary().chooses();
  }

  private boolean alikeToRandom() {
    return result.comparisons().stream()
        .anyMatch(
            each -> each.against() == Comparison.Rival.RANDOM && each.difference().holdsZero());
  }

  private void comparisons() {
    line("| kept against | difference in points | 95 % interval |");
    line("| --- | ---: | ---: |");
    for (Comparison each : result.comparisons()) {
      Estimate difference = each.difference();
      line(
          "| %s | %+.2f | %s%s |"
              .formatted(
                  RIVALS.get(each.against()),
                  100 * difference.mean(),
                  interval(difference),
                  difference.holdsZero() ? ", holds zero" : ""));
    }
    line("");
    line(
        "A point is a hundredth of "
            + switch (schema.kind()) {
              case CLASSIFICATION -> "accuracy";
              case REGRESSION -> "R², the share of the variance that is predicted";
              case LANGUAGE_MODELING ->
                  choosing() ? schema.primary().label() : "the log-likelihood of a token";
            }
            + ". These are differences in the one supernet; after retraining they are usually smaller.  ");
    line(
        "Random subsets of the budget deviate by %.2f points beyond noise."
            .formatted(100 * result.spread().deviation()));
    line("");
  }

  private void values() {
    List<String> types = result.space().types();
    Map<Integer, Map<String, String>> rows = new TreeMap<>();
    for (ModuleValue value : result.values()) {
      Candidate module = value.module();
      String text =
          "%s%s%+.2f (%s)"
              .formatted(
                  Summary.part(module),
                  value.kept() ? "**kept** " : "",
                  100 * value.value().mean(),
                  interval(value.value()));
      rows.computeIfAbsent(module.layer(), layer -> new TreeMap<>())
          .merge(module.type(), text, (a, b) -> a + ", " + b);
    }
    line("## What each module is worth, in points, with its 95 % interval");
    line("");
    line("| layer | " + String.join(" | ", types) + " |");
    line(
        "| ----: | " + types.stream().map(type -> "---").collect(Collectors.joining(" | ")) + " |");
    rows.forEach(
        (layer, cells) ->
            line(
                "| %5d | %s |"
                    .formatted(
                        layer,
                        types.stream()
                            .map(type -> cells.getOrDefault(type, ""))
                            .collect(Collectors.joining(" | ")))));
    line("");
  }

  private void front() {
    List<String> costs = result.settings().costs().stream().map(Cost::name).toList();
    line("## Cheaper and dearer configurations");
    line("");
    line("`train --modules RUN --select ROW` trains one of these.");
    line("");
    line(
        "| row | "
            + String.join(" | ", costs)
            + " | predicted below all modules, points | modules |");
    line(
        "| ---: | "
            + costs.stream().map(cost -> "---:").collect(Collectors.joining(" | "))
            + " | ---: | --- |");
    for (int row = 1; row <= result.front().size(); row++) {
      Configuration configuration = result.front().get(row - 1);
      line(
          "| %d | %s | %.2f (%s) | %s |"
              .formatted(
                  row,
                  costs.stream()
                      .map(cost -> number(configuration.costs().get(cost)))
                      .collect(Collectors.joining(" | ")),
                  100 * configuration.belowSupernet().mean(),
                  interval(configuration.belowSupernet()),
                  configuration.modules().stream()
                      .map(Candidate::name)
                      .map(name -> name.replace("encoder.layer.", ""))
                      .collect(Collectors.joining(", "))));
    }
    line("");
  }

  private static String number(double cost) {
    return cost == Math.rint(cost)
        ? String.format(Locale.ROOT, "%,d", (long) cost)
        : String.format(Locale.ROOT, "%.3f", cost);
  }

  private static String interval(Estimate estimate) {
    return String.format(Locale.ROOT, "%.2f to %.2f", 100 * estimate.low(), 100 * estimate.high());
  }

  private void line(String text) {
    lines.add(text);
  }
}
