package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import org.prunepeft.RunContents;
import org.prunepeft.cli.Table.Cell;
import org.prunepeft.search.Panel;
import org.prunepeft.search.Partition;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.Reading;
import org.prunepeft.search.Score;
import org.prunepeft.search.Standing;
import org.prunepeft.search.Standing.Fate;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.Verdict;
import org.prunepeft.text.Units;

/** Why a module went or stayed in a search by pruning, in Markdown. */
final class PruningExplanation {
  private static final List<String> COLUMNS =
      List.of(
          "criterion",
          "weight",
          "raw score",
          "scaled",
          "rank",
          "probability",
          "reliability",
          "alone it would have");

  private final RunContents run;
  private final String module;
  private final StringBuilder text = new StringBuilder();

  PruningExplanation(RunContents run, String module) {
    this.run = run;
    this.module = module;
  }

  String text() {
    List<PruningRound> rounds = run.rounds();
    Verdict first = standing(rounds.get(0)).verdict();
    List<PruningRound> judged =
        rounds.stream()
            .filter(round -> round.verdicts().stream().anyMatch(each -> is(each)))
            .toList();
    PruningRound last = judged.get(judged.size() - 1);
    Fate fate = standing(last).fate();
    line(
        "# %s: %s"
            .formatted(
                module,
                fate == Fate.WENT
                    ? "went in round %d of %d".formatted(last.index(), rounds.size())
                    : "kept after %s".formatted(Units.count(rounds.size(), "round"))));
    line("");
    line(
        String.format(
            Locale.ROOT,
            "%s, layer %d, %,d parameters, partition %s.",
            first.module().type(),
            first.module().layer(),
            first.module().parameters(),
            first.partition()));
    run.strategy().ifPresent(strategy -> judges(strategy, first.partition()));
    judged.forEach(this::round);
    return text.toString();
  }

  private boolean is(Verdict verdict) {
    return verdict.module().name().equals(module);
  }

  private Standing standing(PruningRound round) {
    return Standing.of(round).stream().filter(each -> is(each.verdict())).findFirst().orElseThrow();
  }

  /** Who judges the partition, and why. */
  private void judges(Strategy strategy, Partition partition) {
    List<String> criteria = strategy.criteriaOf(partition);
    String why =
        strategy
            .warmUp()
            .map(
                warmUp ->
                    warmUp.tallies().entrySet().stream()
                        .filter(tally -> criteria.contains(tally.getKey()))
                        .map(
                            tally ->
                                "%s %d"
                                    .formatted(
                                        tally.getKey(),
                                        tally.getValue().getOrDefault(partition, 0)))
                        .collect(
                            Collectors.joining(
                                ", ", " In the warm-up they removed of this partition: ", ".")))
            .orElse(" The strategy is %s.".formatted(strategy.origin()));
    line("Its partition is judged by %s.%s".formatted(String.join(", ", criteria), why));
  }

  private void round(PruningRound round) {
    Standing standing = standing(round);
    Verdict verdict = standing.verdict();
    Panel panel =
        round.panels().stream()
            .filter(each -> each.partition().equals(verdict.partition()))
            .findFirst()
            .orElse(new Panel(verdict.partition(), Map.of(), false));
    line("");
    line("## Round %d: %s".formatted(round.index(), fate(standing.fate())));
    line("");
    line(
        "Pruning probability %s (1 is the mean of its type), %s of %s in the order of going. %s"
            .formatted(
                number(verdict.probability()),
                "number " + standing.place(),
                Units.count(round.verdicts().size(), "module"),
                margin(standing)));
    if (panel.weights().isEmpty()) {
      line("No criterion distinguished modules of its type: all are alike.");
    } else if (panel.standIn()) {
      line("The partition's own criteria were left out, so the others stood in for them.");
    }
    round
        .sickness()
        .ifPresent(
            sickness ->
                line("The round's training %s: its scores say nothing.".formatted(sickness)));
    round.divergence().ifPresent(why -> line("A training of the round diverged: " + why + "."));
    line("");
    text.append(scores(round, standing, panel).text(Table.Format.MD));
    differ(round, standing, panel);
  }

  private static String fate(Fate fate) {
    return switch (fate) {
      case WENT -> "went";
      case SPARED -> "spared, as the last that fits the budget";
      case STAYED -> "stayed";
    };
  }

  private static String margin(Standing standing) {
    if (standing.fate() == Fate.SPARED) {
      return "It was next to go, but no other module was left that fits the budget: the last one always stays, whatever was said of it.";
    }
    if (standing.rival().isEmpty()) {
      return standing.fate() == Fate.WENT
          ? "There was no cut: all went but the last that fits the budget."
          : "There was no cut: all stayed.";
    }
    Verdict rival = standing.rival().get();
    return standing.fate() == Fate.WENT
        ? "That is %s above that of %s, the next that stayed (%s)."
            .formatted(
                number(standing.margin()), rival.module().name(), number(rival.probability()))
        : "That is %s below that of %s, the last that went (%s)."
            .formatted(
                number(-standing.margin()), rival.module().name(), number(rival.probability()));
  }

  private Table scores(PruningRound round, Standing standing, Panel panel) {
    Map<String, Reading> readings = new HashMap<>();
    for (Reading each : round.readings()) {
      if (each.type().equals(standing.verdict().module().type())) {
        readings.putIfAbsent(each.criterion(), each);
      }
    }
    List<List<Cell>> rows = new ArrayList<>();
    standing
        .verdict()
        .scores()
        .forEach(
            (criterion, score) -> {
              Reading reading = readings.get(criterion);
              rows.add(
                  List.of(
                      Cell.of(criterion),
                      weight(panel.weights().get(criterion), reading),
                      new Cell(score.raw(), String.format(Locale.ROOT, "%.4g", score.raw())),
                      new Cell(score.scaled(), number(score.scaled())),
                      new Cell(score.rank(), rank(score.rank())),
                      new Cell(score.probability(), number(score.probability())),
                      reliability(reading),
                      Cell.of(alone(standing, score, reading))));
            });
    return new Table(COLUMNS, rows);
  }

  private static Cell weight(Double weight, Reading reading) {
    return weight != null
        ? new Cell(weight, String.format(Locale.ROOT, "%.2f", weight))
        : Cell.of(
            reading == null || reading.informative()
                ? "does not judge"
                : "left out: " + reading.leftOut().orElseThrow().reason());
  }

  private static Cell reliability(Reading reading) {
    OptionalDouble value = reading == null ? OptionalDouble.empty() : reading.reliability();
    return value.isPresent()
        ? new Cell(value.getAsDouble(), String.format(Locale.ROOT, "%.2f", value.getAsDouble()))
        : Cell.of(null);
  }

  /** Which side of the cut a criterion's own probability lies on. */
  private static String alone(Standing standing, Score score, Reading reading) {
    if (standing.rival().isEmpty() || reading != null && !reading.informative()) {
      return "";
    }
    double cut = standing.rival().get().probability();
    return standing.fate() == Fate.WENT
        ? score.probability() > cut ? "removed it" : "kept it"
        : score.probability() < cut ? "kept it" : "removed it";
  }

  /** What would have turned the verdict, the other modules as they were. */
  private void differ(PruningRound round, Standing standing, Panel panel) {
    if (standing.rival().isEmpty()) {
      return;
    }
    double margin = standing.margin();
    line("");
    line("What would have had to differ, with the other modules as they were:");
    line("");
    boolean went = standing.fate() == Fate.WENT;
    line(
        "- its pruning probability by %s: %s %s"
            .formatted(
                number(-margin),
                went ? "below" : "above",
                number(standing.rival().get().probability())));
    panel
        .weights()
        .forEach(
            (criterion, weight) -> {
              double own = standing.verdict().scores().get(criterion).probability();
              double needed = own - margin / weight;
              double[] range = range(round, standing.verdict().module().type(), criterion);
              String reach =
                  needed < range[0] || needed > range[1]
                      ? ", which none of its type had (%s to %s)"
                          .formatted(number(range[0]), number(range[1]))
                      : "";
              if (weight > 0) {
                line(
                    "- or that by %s alone, from %s to %s%s"
                        .formatted(criterion, number(own), number(needed), reach));
              }
            });
  }

  /** The least and the most that a criterion gave to modules of a type. */
  private static double[] range(PruningRound round, String type, String criterion) {
    DoubleSummaryStatistics given =
        round.verdicts().stream()
            .filter(verdict -> verdict.module().type().equals(type))
            .mapToDouble(verdict -> verdict.scores().get(criterion).probability())
            .summaryStatistics();
    return new double[] {given.getMin(), given.getMax()};
  }

  private void line(String line) {
    text.append(line).append('\n');
  }

  /** Modules that are alike share the mean of their ranks, which may be a half. */
  private static String rank(double value) {
    return String.format(Locale.ROOT, value == Math.rint(value) ? "%.0f" : "%.1f", value);
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }
}
