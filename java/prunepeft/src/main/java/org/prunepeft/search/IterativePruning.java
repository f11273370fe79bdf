package org.prunepeft.search;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import org.prunepeft.search.PruningRound.Information;
import org.prunepeft.search.PruningSettings.Selection;
import org.prunepeft.search.PruningSettings.Weighting;

/** Algorithm 1 of the paper: train, judge and remove, round by round, until the budget is met. */
public final class IterativePruning {
  /** Of a normal distribution 5 % lie so many standard deviations above the mean, or more. */
  private static final double BEYOND_CHANCE = 1.645;

  /** With less precision even halves that agree wholly are no further above zero. */
  private static final double LEAST_PRECISION = BEYOND_CHANCE * BEYOND_CHANCE;

  private final SearchSpace space;
  private final Strategy strategy;
  private final PruningSettings settings;
  private final List<Criterion> criteria;
  private final Map<Candidate, Partition> partitions;

  private IterativePruning(SearchSpace space, Strategy strategy, PruningSettings settings) {
    space.requireBudget(settings.budget());
    strategy.requireCovers(space);
    this.space = space;
    this.strategy = strategy;
    this.settings = settings;
    this.criteria = strategy.criteria().stream().map(Criteria::byName).toList();
    this.partitions = strategy.partitioning().assign(space);
  }

  /**
   * Prunes a supernet.
   *
   * @param space all modules that there are
   * @param strategy with criteria for each partition of the space
   * @param settings rounds, budget, selection
   * @param trainer trains the modules that are left, once a round; it is not called again after the
   *     last removal, and the modules kept are to be retrained from new weights
   * @param listener hears of every round
   * @return the modules kept, within the budget, and a record of every round
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget}) or the strategy does not cover the space ({@link
   *     Strategy#requireCovers})
   * @throws IllegalStateException if the trainer leaves out a module
   * @throws ArithmeticException if a score is not finite, as after a training that diverged
   * @throws CancellationException if the listener cancels
   */
  public static PruningResult run(
      SearchSpace space,
      Strategy strategy,
      PruningSettings settings,
      SupernetTrainer trainer,
      SearchListener listener) {
    return new IterativePruning(space, strategy, settings).run(trainer, listener);
  }

  private PruningResult run(SupernetTrainer trainer, SearchListener listener) {
    List<PruningRound> rounds = new ArrayList<>();
    List<Candidate> modules = space.candidates();
    for (int i = 1; i <= settings.rounds(); i++) {
      if (listener.cancelled()) {
        throw new CancellationException("cancelled before round " + i);
      }
      long target = settings.target(i, space.totalParameters());
      listener.roundStarted(i, settings.rounds(), modules, target);
      Stage stage = new Stage(StageKind.ROUND, i, i == 1 || settings.reinitialise());
      TrainedStage trained = TrainedStage.of(trainer, stage, modules);
      PruningRound round = round(trained.stage(), target, modules, trained.observation());
      rounds.add(round);
      listener.roundFinished(round, settings.rounds());
      modules = round.survivors();
    }
    return new PruningResult(space, strategy, rounds);
  }

  private PruningRound round(
      Stage stage, long target, List<Candidate> modules, Observation observation) {
    Scoreboard scoreboard =
        new Scoreboard(
            modules,
            criteria,
            observation,
            stage,
            new Scoreboard.Rule(settings.selection(), settings.c(), settings.spreadThreshold()),
            partitions::get);
    Map<Partition, List<Candidate>> members =
        new TreeMap<>(Scoreboard.grouped(modules, partitions::get));
    Map<Partition, Panel> panels = new TreeMap<>();
    members.keySet().forEach(partition -> panels.put(partition, panel(partition, scoreboard)));

    Map<Candidate, Verdict> verdicts = new LinkedHashMap<>();
    Map<String, List<Candidate>> peers = Scoreboard.grouped(modules, Candidate::type);
    for (Candidate module : modules) {
      Partition partition = partitions.get(module);
      verdicts.put(
          module,
          verdict(
              module,
              panels.get(partition),
              scoreboard,
              peers.get(module.type()).size(),
              members.get(partition).size()));
    }
    BudgetFill fill = BudgetFill.remove(order(verdicts), target, settings.budget());
    return new PruningRound(
        stage,
        target,
        scoreboard.readings(),
        List.copyOf(panels.values()),
        List.copyOf(verdicts.values()),
        removals(fill.removed(), verdicts, Candidate.total(modules)),
        fill.spared(),
        fill.kept(),
        observation.healthy() ? information(panels.values(), scoreboard, peers) : Information.NONE,
        observation.health());
  }

  /**
   * The partition's own criteria without those left out; if none is left, all others of the
   * strategy that distinguish modules of the type.
   */
  private Panel panel(Partition partition, Scoreboard scoreboard) {
    List<String> own = informative(strategy.criteriaOf(partition), partition.type(), scoreboard);
    List<String> judges =
        own.isEmpty() ? informative(strategy.criteria(), partition.type(), scoreboard) : own;
    boolean standIn = own.isEmpty() && !judges.isEmpty();
    Map<String, Double> weights =
        weigh(judges, name -> scoreboard.reading(name, partition.type()).reliability());
    return new Panel(partition, weights, standIn);
  }

  private static List<String> informative(
      List<String> criteria, String type, Scoreboard scoreboard) {
    return criteria.stream().filter(name -> scoreboard.reading(name, type).informative()).toList();
  }

  private Map<String, Double> weigh(
      List<String> judges, Function<String, OptionalDouble> reliability) {
    Map<String, Double> weights = new LinkedHashMap<>();
    judges.forEach(name -> weights.put(name, 1.0));
    if (settings.weights() == Weighting.RELIABILITY) {
      double[] measured =
          judges.stream()
              .map(reliability)
              .flatMapToDouble(OptionalDouble::stream)
              .map(value -> Math.max(0, value))
              .toArray();
      double sum = 0;
      for (double value : measured) {
        sum += value;
      }
      if (sum > 0) {
        // A criterion whose reliability is not measured gains and loses nothing by that.
        double mean = sum / measured.length;
        weights.replaceAll((name, alike) -> Math.max(0, reliability.apply(name).orElse(mean)));
      } else if (measured.length < judges.size()) {
        weights.replaceAll((name, alike) -> reliability.apply(name).isPresent() ? 0.0 : 1.0);
      }
    }
    double total = 0;
    for (double weight : weights.values()) {
      total += weight;
    }
    double whole = total;
    weights.replaceAll((name, weight) -> weight / whole);
    return weights;
  }

  private Verdict verdict(
      Candidate module, Panel panel, Scoreboard scoreboard, int peers, int members) {
    Map<String, Score> scores = new LinkedHashMap<>();
    for (Criterion criterion : criteria) {
      scores.put(criterion.name(), scoreboard.score(criterion.name(), module));
    }
    if (panel.weights().isEmpty()) {
      double alike = settings.selection() == Selection.HYBRID ? 1 : 1.0 / members;
      return new Verdict(module, panel.partition(), scores, alike, (peers - 1) / 2.0);
    }
    double probability = 0;
    double total = 0;
    double ranks = 0;
    for (Map.Entry<String, Double> judge : panel.weights().entrySet()) {
      Score score = scores.get(judge.getKey());
      probability += judge.getValue() * score.probability();
      total += judge.getValue();
      ranks += judge.getValue() * score.rank();
    }
    // Divided by the same sum of rounded weights: criteria that all say 1 give exactly 1.
    return new Verdict(module, panel.partition(), scores, probability / total, ranks / total);
  }

  private List<Candidate> order(Map<Candidate, Verdict> verdicts) {
    return verdicts.values().stream()
        .sorted(
            PruningOrder.of(
                Verdict::probability, Verdict::meanRank, Verdict::module, settings.seed()))
        .map(Verdict::module)
        .toList();
  }

  private static List<Removal> removals(
      List<Candidate> removed, Map<Candidate, Verdict> verdicts, long parameters) {
    List<Removal> removals = new ArrayList<>();
    for (Candidate module : removed) {
      parameters -= module.parameters();
      removals.add(new Removal(module, verdicts.get(module).probability(), parameters));
    }
    return removals;
  }

  /**
   * Whether all reliabilities together are above zero by more than chance. Between the two halves
   * of n modules' scores that are noise a rank correlation has the mean 0 and the variance 1 / (n -
   * 1). Criteria see the same weights and gradients, so that those of a type may err alike: their
   * mean is taken for one reading. Types weigh by the inverse of the variance. Of very few modules
   * no agreement is more than chance may give: that is not measured.
   */
  private static Information information(
      Iterable<Panel> panels, Scoreboard scoreboard, Map<String, List<Candidate>> peers) {
    Map<String, Set<String>> judges = new TreeMap<>();
    panels.forEach(
        panel ->
            judges
                .computeIfAbsent(panel.partition().type(), type -> new TreeSet<>())
                .addAll(panel.weights().keySet()));
    double sum = 0;
    double precision = 0;
    boolean judged = false;
    for (Map.Entry<String, Set<String>> ofType : judges.entrySet()) {
      judged |= !ofType.getValue().isEmpty();
      OptionalDouble mean =
          ofType.getValue().stream()
              .map(criterion -> scoreboard.reading(criterion, ofType.getKey()).reliability())
              .flatMapToDouble(OptionalDouble::stream)
              .average();
      if (mean.isPresent()) {
        double own = peers.get(ofType.getKey()).size() - 1.0;
        sum += own * mean.getAsDouble();
        precision += own;
      }
    }
    if (precision <= LEAST_PRECISION) {
      return judged ? Information.UNMEASURED : Information.NONE;
    }
    return sum / Math.sqrt(precision) > BEYOND_CHANCE ? Information.RELIABLE : Information.NONE;
  }
}
