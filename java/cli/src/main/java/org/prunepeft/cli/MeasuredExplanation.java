package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.Stream;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.MeasuredFile.Subset;
import org.prunepeft.report.MeasuredFile.Value;
import org.prunepeft.report.MeasuredQuantity;
import org.prunepeft.text.Units;

/**
 * Why a measured search kept a module or not, in Markdown. Differences are in points, hundredths of
 * what was measured.
 */
final class MeasuredExplanation {
  private final MeasuredFile file;
  private final String quantity;
  private final String module;
  private final StringBuilder text = new StringBuilder();

  /**
   * @param quantity what was measured; null: not known
   */
  MeasuredExplanation(MeasuredFile file, MeasuredQuantity quantity, String module) {
    this.file = file;
    this.quantity = quantity == null ? "the metric" : quantity.label();
    this.module = module;
  }

  String text() {
    List<Value> order =
        file.values().stream().sorted(Comparator.comparingDouble(Value::mean).reversed()).toList();
    Value own =
        order.stream().filter(value -> value.module().equals(module)).findFirst().orElseThrow();
    line("# %s: %s".formatted(module, own.kept() ? "kept" : "not kept"));
    line("");
    line(
        "It is worth %s points (95 %% interval %s), place %d of %d: by so much %s rises when it is added to a random subset of about the budget.%s"
            .formatted(
                Units.points(own.mean()),
                Units.points(own.low(), own.high()),
                order.indexOf(own) + 1,
                order.size(),
                quantity,
                own.estimate().holdsZero() ? " The interval holds zero: no value shows." : ""));
    line(why(own));
    if (!file.placementMatters()) {
      line(
          file.negligibleGain()
              ? "The score shows a gain of the best subset over random ones, but in %s a negligible one at most."
                  .formatted(quantity)
              : "Which modules are kept makes no measurable difference in this search.");
    }
    bounds(own);
    line("");
    subsets();
    pairs();
    long front = file.front().stream().filter(point -> point.modules().contains(module)).count();
    line("");
    line("It is in %d of the front's %d configurations.".formatted(front, file.front().size()));
    return text.toString();
  }

  private String why(Value own) {
    return switch (file.choice()) {
      case "best" ->
          "The choice is the best subset of the budget%s."
              .formatted(own.kept() ? ", which has it" : ", which has it not");
      case "cheapest" ->
          "The choice is the cheapest that is not measurably worse than the best; the best %s it."
              .formatted(file.best().contains(module) ? "has" : "does not have");
      default ->
          "The choice is the cheapest within the tolerance; the best subset of the budget %s it."
              .formatted(file.best().contains(module) ? "has" : "does not have");
    };
  }

  private void bounds(Value own) {
    Stream<Value> others = file.values().stream().filter(value -> value.kept() != own.kept());
    Comparator<Value> byValue = Comparator.comparingDouble(Value::mean);
    (own.kept() ? others.max(byValue) : others.min(byValue))
        .ifPresent(
            other ->
                line(
                    "%s: %s points (%s). %s"
                        .formatted(
                            own.kept()
                                ? "The most that a module is worth that is not kept"
                                : "The least that a module is worth that is kept",
                            Units.points(other.mean()),
                            other.module(),
                            differ(own, other))));
  }

  /**
   * What would have turned the choice.
   *
   * @param other the nearest on the other side
   */
  private static String differ(Value own, Value other) {
    boolean decides = own.kept() ? own.mean() > other.mean() : own.mean() < other.mean();
    return (decides
            ? "What would have had to differ, as far as values decide: its own, %s that. "
                .formatted(own.kept() ? "below" : "above")
            : "")
        + "A subset is chosen as a whole: the budget and interactions count too.";
  }

  private void subsets() {
    List<List<Cell>> rows = new ArrayList<>();
    Map<String, List<Subset>> byPurpose = new LinkedHashMap<>();
    for (Subset subset : file.measured()) {
      byPurpose.computeIfAbsent(subset.purpose(), purpose -> new ArrayList<>()).add(subset);
    }
    for (Map.Entry<String, List<Subset>> purpose : byPurpose.entrySet()) {
      List<Subset> own = purpose.getValue();
      List<Subset> with = own.stream().filter(subset -> subset.modules().contains(module)).toList();
      List<Subset> without =
          own.stream().filter(subset -> !subset.modules().contains(module)).toList();
      rows.add(
          List.of(
              Cell.of(purpose.getKey()),
              Cell.of(with.size()),
              mean(with),
              Cell.of(without.size()),
              mean(without)));
    }
    line("Mean of %s over the subsets that were measured, in hundredths:".formatted(quantity));
    line("");
    text.append(
        new Table(
                List.of("measured for", "with it", "mean with it", "without it", "mean without it"),
                rows)
            .text(Table.Format.MD));
  }

  private static Cell mean(List<Subset> subsets) {
    OptionalDouble mean = subsets.stream().mapToDouble(Subset::search).average();
    return mean.isPresent()
        ? new Cell(mean.getAsDouble(), String.format(Locale.ROOT, "%.2f", 100 * mean.getAsDouble()))
        : Cell.of(null);
  }

  private void pairs() {
    file.pairs().stream()
        .filter(pair -> pair.first().equals(module) || pair.second().equals(module))
        .forEach(
            pair ->
                line(
                    "\nTogether with %s it is worth %s points (%s) beside the sum of both."
                        .formatted(
                            pair.first().equals(module) ? pair.second() : pair.first(),
                            Units.points(pair.mean()),
                            Units.points(pair.low(), pair.high()))));
  }

  private void line(String line) {
    text.append(line).append('\n');
  }
}
