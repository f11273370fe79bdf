package org.prunepeft.cli;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.prunepeft.RunContents;
import org.prunepeft.data.Example;
import org.prunepeft.data.Metric;
import org.prunepeft.report.LearningCurve;
import org.prunepeft.report.MeasuredFile;
import org.prunepeft.report.MeasuredQuantity;
import org.prunepeft.report.RunPhase;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.Partition;
import org.prunepeft.search.PruningRound;
import org.prunepeft.search.Reading;
import org.prunepeft.search.Removal;
import org.prunepeft.search.Score;
import org.prunepeft.search.Standing;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.peer.PeerResult;

/** What a report says of one run, as plain maps and lists for JSON. */
final class ReportRun {
  /** Of a curve so many points are drawn; a mean of steps each. */
  private static final int MOST_POINTS = 120;

  private final RunContents run;
  private final Map<String, Object> map = new LinkedHashMap<>();

  private ReportRun(RunContents run) {
    this.run = run;
  }

  /**
   * {@return all of it}
   *
   * @param name that the report calls the run by
   * @param texts gives the test examples by their ids; none: the report has no texts
   */
  static Map<String, Object> of(
      String name, RunContents run, Function<RunContents, Map<String, Example>> texts) {
    ReportRun report = new ReportRun(run);
    report.map.put("name", name);
    report.facts();
    report.map.put("grid", report.grid());
    report.map.put("rounds", run.rounds().stream().map(ReportRun::round).toList());
    run.strategy().ifPresent(strategy -> report.map.put("strategy", strategy(strategy)));
    report.map.put("curves", run.curves().stream().map(ReportRun::curve).toList());
    run.measured().ifPresent(measured -> report.map.put("measured", report.measured(measured)));
    run.peer().ifPresent(peer -> report.map.put("peer", peer(peer)));
    run.predictions()
        .filter(kept -> kept.targets().length > 0)
        .ifPresent(kept -> ReportPredictions.put(kept, () -> texts.apply(run), report.map));
    return report.map;
  }

  private void facts() {
    map.put("state", run.info().state());
    map.put("began", run.info().began().toString());
    map.put("command", run.info().command());
    map.put("model", RunsCommand.model(run.info()));
    map.put("task", run.info().task());
    map.put("seed", run.setup().map(setup -> setup.seed()).orElse(null));
    map.put("kind", run.schema().map(schema -> word(schema.kind())).orElse(null));
    Metric metric = run.info().metric();
    if (metric != null) {
      map.put("metric", metric(metric));
      map.put("test", run.info().test());
      map.put("validation", member("validation", metric));
      map.put("baseline", member("head_alone_test", metric));
    }
    map.put("modules", run.info().modules());
    map.put("parameters", run.info().parameters());
    map.put("supernetParameters", run.result().get("supernet_parameters"));
    map.put("share", run.info().share());
    map.put("bestEpoch", run.result().get("best_epoch"));
    map.put("epochs", run.result().get("epochs"));
    map.put("seconds", run.info().seconds());
    map.put("phases", phases(phase -> phase.seconds(run.result())));
    map.put("memory", phases(phase -> phase.peakBytes(run.result())));
    map.put("gpuMemory", phases(phase -> phase.gpuPeakBytes(run.result())));
    map.put("settings", run.settings());
    map.put("notes", run.notes());
  }

  /** Of the phases of which a number is known. */
  private static Map<String, Number> phases(Function<RunPhase, Number> of) {
    Map<String, Number> numbers = new LinkedHashMap<>();
    for (RunPhase phase : RunPhase.values()) {
      Number number = of.apply(phase);
      if (number != null) {
        numbers.put(phase.toString(), number);
      }
    }
    return numbers;
  }

  private static Map<String, Object> metric(Metric metric) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("key", metric.key());
    map.put("label", metric.label());
    map.put("percent", ReportData.percent(metric));
    return map;
  }

  private Double member(String part, Metric metric) {
    return run.result().get(part) instanceof Map<?, ?> values
            && values.get(metric.key()) instanceof Number number
        ? number.doubleValue()
        : null;
  }

  /** A place for each module of the supernet, or of what is known of it. */
  private List<Map<String, Object>> grid() {
    Map<String, Integer> went = new LinkedHashMap<>();
    for (PruningRound round : run.rounds()) {
      for (Removal removal : round.removals()) {
        went.put(removal.module().name(), round.index());
      }
    }
    Stream<ModuleName> modules = places();
    boolean chosen = !run.modules().isEmpty();
    // Of a measured search they may be slices of modules.
    Set<String> kept =
        new HashSet<>(
            run.measured().map(MeasuredFile::kept).orElseGet(() -> Candidate.names(run.modules())));
    List<Map<String, Object>> grid = new ArrayList<>();
    modules.forEach(
        module -> {
          Map<String, Object> place = new LinkedHashMap<>();
          place.put("module", module.name());
          place.put("layer", module.layer());
          place.put("column", module.column());
          place.put("kept", chosen ? kept.contains(module.name()) : null);
          place.put("round", went.get(module.name()));
          grid.add(place);
        });
    return grid;
  }

  private Stream<ModuleName> places() {
    if (!run.rounds().isEmpty()) {
      return run.rounds().get(0).verdicts().stream().map(each -> ModuleName.of(each.module()));
    }
    if (run.measured().isPresent()) {
      return run.measured().get().values().stream().map(each -> ModuleName.of(each.module()));
    }
    return run.peer().isPresent()
        ? run.peer().get().modules().stream().map(each -> ModuleName.of(each.module()))
        : run.modules().stream().map(ModuleName::of);
  }

  private static Map<String, Object> round(PruningRound round) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("index", round.index());
    map.put("target", round.target());
    map.put("parameters", round.parameters());
    map.put("information", round.information().toString().toLowerCase(Locale.ROOT));
    map.put("sickness", round.sickness().orElse(null));
    map.put("divergence", round.divergence().orElse(null));
    map.put("readings", round.readings().stream().map(ReportRun::reading).toList());
    Map<String, Object> panels = new LinkedHashMap<>();
    round.panels().forEach(panel -> panels.put(panel.partition().toString(), panel.weights()));
    map.put("judges", panels);
    map.put(
        "standings",
        Standing.of(round).stream()
            .map(
                standing -> {
                  Map<String, Object> each = new LinkedHashMap<>();
                  each.put("module", standing.verdict().module().name());
                  each.put("partition", standing.verdict().partition().toString());
                  each.put("place", standing.place());
                  each.put("fate", word(standing.fate()));
                  each.put("probability", standing.verdict().probability());
                  each.put("margin", standing.margin());
                  each.put("scores", scores(standing.verdict().scores()));
                  return each;
                })
            .toList());
    return map;
  }

  private static Map<String, Object> scores(Map<String, Score> scores) {
    Map<String, Object> map = new LinkedHashMap<>();
    scores.forEach(
        (criterion, score) ->
            map.put(
                criterion,
                List.of(score.raw(), score.scaled(), score.rank(), score.probability())));
    return map;
  }

  private static Map<String, Object> reading(Reading reading) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("criterion", reading.criterion());
    map.put("type", reading.type());
    map.put("spread", reading.spread());
    map.put(
        "reliability",
        reading.reliability().isPresent() ? reading.reliability().getAsDouble() : null);
    map.put("leftOut", reading.leftOut().map(Reading.LeftOut::reason).orElse(null));
    return map;
  }

  private static Map<String, Object> strategy(Strategy strategy) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("origin", strategy.origin().toString());
    map.put("criteria", strategy.criteria());
    Map<String, Object> assignment = new LinkedHashMap<>();
    strategy.assignment().forEach((partition, names) -> assignment.put(partition + "", names));
    map.put("assignment", assignment);
    strategy
        .warmUp()
        .ifPresent(
            warmUp -> {
              Map<String, Object> tallies = new LinkedHashMap<>();
              warmUp
                  .tallies()
                  .forEach(
                      (criterion, tally) -> {
                        Map<String, Integer> counts = new LinkedHashMap<>();
                        tally.forEach((partition, count) -> counts.put(partition + "", count));
                        tallies.put(criterion, counts);
                      });
              map.put("tallies", tallies);
              map.put(
                  "partitions",
                  Stream.concat(
                          strategy.assignment().keySet().stream(),
                          warmUp.tallies().values().stream()
                              .flatMap(tally -> tally.keySet().stream()))
                      .collect(Collectors.toCollection(TreeSet::new))
                      .stream()
                      .map(Partition::toString)
                      .toList());
            });
    return map;
  }

  private static Map<String, Object> curve(LearningCurve curve) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("training", curve.training());
    int steps = curve.losses().size();
    map.put("steps", steps);
    int each = Math.max(1, (steps + MOST_POINTS - 1) / MOST_POINTS);
    map.put("stepsAPoint", each);
    map.put(
        "losses",
        IntStream.iterate(0, from -> from < steps, from -> from + each)
            .mapToObj(
                from ->
                    curve.losses().subList(from, Math.min(steps, from + each)).stream()
                        .mapToDouble(loss -> loss)
                        .average()
                        .orElseThrow())
            .toList());
    map.put(
        "epochs",
        curve.epochs().stream()
            .map(
                epoch -> {
                  Map<String, Object> values = new LinkedHashMap<>();
                  values.put("epoch", epoch.epoch());
                  values.put("loss", epoch.loss());
                  values.put("validation", epoch.validation());
                  return values;
                })
            .toList());
    return map;
  }

  private Map<String, Object> measured(MeasuredFile file) {
    Map<String, Object> map = new LinkedHashMap<>();
    run.schema()
        .map(MeasuredQuantity::of)
        .ifPresent(
            quantity -> {
              map.put("quantity", quantity.label());
              map.put("percent", quantity.share());
            });
    map.put("choice", file.choice());
    map.put("placementMatters", file.placementMatters());
    map.put("kept", file.kept());
    map.put("subsets", file.measured().size());
    map.put("examples", file.examples());
    map.put("confirmationExamples", file.confirmationExamples());
    Map<String, Object> comparisons = new LinkedHashMap<>();
    file.comparisons()
        .forEach((name, difference) -> comparisons.put(name.replace('_', ' '), difference.toMap()));
    map.put("comparisons", comparisons);
    map.put(
        "values",
        file.values().stream()
            .map(
                value -> {
                  Map<String, Object> each = new LinkedHashMap<>();
                  each.put("module", value.module());
                  each.put("kept", value.kept());
                  each.putAll(value.estimate().toMap());
                  return each;
                })
            .toList());
    map.put(
        "front",
        file.front().stream()
            .map(
                point -> {
                  Map<String, Object> each = new LinkedHashMap<>();
                  each.put("modules", point.modules());
                  each.put("costs", point.costs());
                  each.put("metric", point.metric().toMap());
                  each.put(
                      "confirmed", point.confirmed() == null ? null : point.confirmed().toMap());
                  return each;
                })
            .toList());
    return map;
  }

  private static Map<String, Object> peer(PeerResult result) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("method", result.method());
    map.put("meaning", PeerExplanation.meaning(result.method()));
    map.put("effort", result.effort());
    map.put(
        "scores",
        result.modules().stream()
            .map(
                scored -> {
                  Map<String, Object> each = new LinkedHashMap<>();
                  each.put("module", scored.module().name());
                  each.put("score", scored.score());
                  each.put("kept", scored.kept());
                  return each;
                })
            .toList());
    map.put("trials", result.trials());
    return map;
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
