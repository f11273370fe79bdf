package org.prunepeft.run;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.data.Schema;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Partition;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.Reading;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.TrainingHealth;
import org.prunepeft.search.WarmUpRecord;
import org.prunepeft.search.WarmUpTurn;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Markdown;

/** The summary of a run in Markdown that reads well in a terminal. */
final class Summary {
  private final StringBuilder text = new StringBuilder();

  private Summary() {}

  /**
   * Of a search.
   *
   * @param times what trainings take on this machine
   * @param targets of the test examples
   */
  static String of(
      Setup setup, SearchOutcome outcome, SearchSpace space, MachineTimes times, double[] targets) {
    Summary summary = new Summary();
    PruningResult pruning = outcome.pruning();
    summary.line("# PrunePEFT: %s on %s, seed %d", setup.model(), setup.task(), setup.seed());
    summary.line("");
    Lead.of(outcome, space, times, targets).forEach(summary::add);
    summary.line("");
    if (outcome.peer() != null) {
      summary.line("## Modules: kept, or not");
      summary.line("");
      summary.modules(space, module -> outcome.kept().contains(module) ? "kept" : "-");
      PeerSummary.of(outcome.peer()).forEach(summary::add);
      return summary.text.toString();
    }
    if (pruning == null) {
      Schema schema = outcome.retrained().test().predictions().schema();
      MeasuredSummary.of(outcome.measured(), schema, times).forEach(summary::add);
      return summary.text.toString();
    }
    summary.line("## Modules: kept, or the round in which they went");
    summary.line("");
    summary.modules(
        space,
        module -> {
          if (!pruning.space().candidates().contains(module)) {
            return "before";
          }
          int round = pruning.removedIn(module.name()).orElse(0);
          return round == 0 ? "kept" : "round " + round;
        });
    summary.strategy(pruning.strategy(), space);
    String alone = outcome.retrained().languageModel() ? "without modules" : "head alone";
    pruning.rounds().forEach(round -> summary.round(round, alone));
    return summary.text.toString();
  }

  /**
   * Of a training.
   *
   * @param targets of the test examples
   */
  static String of(
      Setup setup,
      ModuleChoice selection,
      TrainOutcome outcome,
      SearchSpace space,
      double[] targets) {
    Summary summary = new Summary();
    summary.line(
        "# PrunePEFT: %s on %s, seed %d, modules: %s",
        setup.model(), setup.task(), setup.seed(), selection);
    summary.line("");
    Lead.of(outcome, targets).forEach(summary::add);
    summary.line("");
    summary.modules(space, module -> outcome.modules().contains(module) ? "trained" : "-");
    return summary.text.toString();
  }

  private void modules(SearchSpace space, Function<Candidate, String> cell) {
    text.append(table(space, cell)).append('\n');
  }

  /**
   * A table of modules: a row for each layer, a column for each type.
   *
   * @param cell what is said of a module; null: it is left out
   */
  static String table(SearchSpace space, Function<Candidate, String> cell) {
    List<String> types = space.types();
    Map<Integer, Map<String, String>> rows = new TreeMap<>();
    for (Candidate module : space.candidates()) {
      String said = cell.apply(module);
      if (said != null) {
        rows.computeIfAbsent(module.layer(), layer -> new TreeMap<>())
            .merge(module.type(), part(module) + said, (a, b) -> a + ", " + b);
      }
    }
    List<String> heads = new ArrayList<>(List.of("layer"));
    heads.addAll(types);
    List<List<String>> lines = new ArrayList<>();
    rows.forEach(
        (layer, cells) -> {
          List<String> line = new ArrayList<>(List.of("" + layer));
          types.forEach(type -> line.add(cells.getOrDefault(type, "")));
          lines.add(line);
        });
    return Markdown.table(heads, lines, i -> i == 0);
  }

  /** Which of a layer's modules of its kind it is, where there are several: query, attention. */
  private static String part(Candidate module) {
    String kind = "." + module.type() + ".";
    int start = module.name().indexOf(kind);
    return start < 0 ? "" : module.name().substring(start + kind.length()) + " ";
  }

  private void strategy(Strategy strategy, SearchSpace space) {
    line("## Strategy (%s): which criteria judge which partition", strategy.origin());
    line("");
    for (Partition partition : strategy.partitioning().partitions(space)) {
      line("- %s: %s", partition, String.join(", ", strategy.criteriaOf(partition)));
    }
    strategy.warmUp().ifPresent(this::warmUp);
    line("");
  }

  /** Says which trainings of the warm-up had no vote. */
  private void warmUp(WarmUpRecord record) {
    List<WarmUpTurn> sick =
        record.turns().stream()
            .filter(turn -> turn.training().map(health -> !health.healthy()).orElse(false))
            .toList();
    if (!sick.isEmpty()) {
      line("");
      line(
          "%d of %d turns of the warm-up had no vote, since their trainings learnt nothing: %s",
          sick.size(),
          record.turns().size(),
          sick.stream()
              .map(turn -> turn.criterion() + " " + turn.turn())
              .collect(Collectors.joining(", ")));
    }
    Map<String, List<String>> divergences = new LinkedHashMap<>();
    for (WarmUpTurn turn : record.turns()) {
      turn.training()
          .flatMap(TrainingHealth::divergence)
          .ifPresent(
              why ->
                  divergences
                      .computeIfAbsent(why, key -> new ArrayList<>())
                      .add(turn.criterion() + " " + turn.turn()));
    }
    if (!divergences.isEmpty()) {
      line("");
      divergences.forEach(
          (why, turns) -> line("- a training of %s diverged: %s", String.join(", ", turns), why));
    }
  }

  /**
   * @param alone what it begins with
   */
  private void round(PruningRound round, String alone) {
    line("## Round %d", round.index());
    line("");
    line(
        "removed: %s; %,d parameters left (target %,d)  ",
        round.removals().isEmpty()
            ? "nothing"
            : round.removals().stream()
                .map(
                    removal ->
                        String.format(
                            Locale.ROOT,
                            "%s (p %.2f)",
                            removal.module().name(),
                            removal.probability()))
                .collect(Collectors.joining(", ")),
        round.parameters(),
        round.target());
    line(
        "information in the scores: %s%s  ",
        round.information().name().toLowerCase(Locale.ROOT),
        round.sickness().map(what -> ", the training of this round " + what).orElse(""));
    round
        .training()
        .ifPresent(
            training ->
                line(
                    "training loss%s: %s %.3f, at the end %s",
                    round.stage().rate() < 1 ? ", second attempt at half the learning rates" : "",
                    alone,
                    training.headAlone(),
                    training.trained().isPresent()
                        ? String.format(Locale.ROOT, "%.3f", training.trained().getAsDouble())
                        : "not finite"));
    round
        .divergence()
        .ifPresent(
            why ->
                line(
                    "why %s diverged: %s  ",
                    round.training().get().state() == TrainingHealth.State.DIVERGED
                        ? "it"
                        : "the first attempt",
                    why));
    line("");
    text.append(
            Markdown.table(
                List.of("criterion", "type", "spread", "reliability", "left out"),
                round.readings().stream().map(Summary::row).toList(),
                i -> i == 2 || i == 3))
        .append('\n');
  }

  private static List<String> row(Reading reading) {
    return List.of(
        reading.criterion(),
        reading.type(),
        String.format(Locale.ROOT, "%.3f", reading.spread()),
        reading.reliability().isPresent()
            ? String.format(Locale.ROOT, "%.2f", reading.reliability().getAsDouble())
            : "-",
        reading.leftOut().map(Reading.LeftOut::reason).orElse(""));
  }

  private void add(String line) {
    text.append(line).append('\n');
  }

  private void line(String format, Object... values) {
    add(String.format(Locale.ROOT, format, values));
  }
}
