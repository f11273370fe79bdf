package org.prunepeft.search;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.search.PruningSettings.Selection;

/**
 * Finds which criteria suit which partition: each criterion prunes the supernet on its own for a
 * few turns, and where it removes most is where it is used.
 */
public final class WarmUp {
  private final SearchSpace space;
  private final List<Criterion> criteria;
  private final WarmUpSettings settings;
  private final SupernetTrainer trainer;
  private final SearchListener listener;
  private final Map<Candidate, Partition> partitions;

  private WarmUp(
      SearchSpace space,
      Collection<Criterion> criteria,
      WarmUpSettings settings,
      SupernetTrainer trainer,
      SearchListener listener) {
    this.space = space;
    this.criteria = Criteria.requireRegistered(criteria);
    this.settings = settings;
    this.trainer = trainer;
    this.listener = listener;
    this.partitions = settings.partitioning().assign(space);
  }

  /**
   * Runs the warm-up.
   *
   * <p>Trainings are shared: the trainer is asked once for each turn and set of modules left. A
   * criterion that distinguishes no modules of a type in a turn removes none of that type then. If
   * that goes for all types it removes none at all, so its tally never counts a choice by chance,
   * and its further turns, which would cost a training each, are left out. So it is where the
   * training was not healthy, after a second attempt at half the rates if it diverged.
   *
   * @param space all modules that there are
   * @param criteria registered ones
   * @param settings turns, removals a turn, partitioning
   * @param trainer trains on the warm-up's sample of the data, from new weights each time
   * @param listener hears of every turn
   * @return the strategy, with the evidence for it
   * @throws IllegalArgumentException if there is no criterion or one is not registered
   * @throws IllegalStateException if the trainer leaves out a module
   * @throws ArithmeticException if a score is not finite, as after a training that diverged
   * @throws CancellationException if the listener cancels
   */
  public static Strategy run(
      SearchSpace space,
      Collection<Criterion> criteria,
      WarmUpSettings settings,
      SupernetTrainer trainer,
      SearchListener listener) {
    return new WarmUp(space, criteria, settings, trainer, listener).run();
  }

  private Strategy run() {
    Map<Criterion, List<Candidate>> left = new LinkedHashMap<>();
    criteria.forEach(criterion -> left.put(criterion, space.candidates()));
    List<WarmUpTurn> history = new ArrayList<>();
    int trainings = 0;
    for (int turn = 1; turn <= settings.turns() && !left.isEmpty(); turn++) {
      Map<List<Candidate>, List<Criterion>> sharing =
          left.keySet().stream()
              .collect(Collectors.groupingBy(left::get, LinkedHashMap::new, Collectors.toList()));
      listener.turnStarted(turn, settings.turns(), sharing.size());
      Map<Criterion, WarmUpTurn> chains = turn(turn, sharing);
      trainings += sharing.size();
      List<WarmUpTurn> ended =
          criteria.stream().filter(chains::containsKey).map(chains::get).toList();
      history.addAll(ended);
      chains.forEach((criterion, chain) -> advance(left, criterion, chain));
      listener.turnFinished(turn, settings.turns(), ended);
    }
    Map<String, Map<Partition, Integer>> tallies = tallies(history);
    WarmUpRecord record =
        new WarmUpRecord(
            space.layers(), settings.removedPerTurn(space), trainings, tallies, history);
    return new Strategy(
        Strategy.Origin.WARM_UP,
        settings.partitioning(),
        criteria.stream().map(Criterion::name).toList(),
        assignment(tallies),
        Optional.of(record));
  }

  /**
   * Takes what a criterion removed from what it has left; one that distinguished nothing is not
   * asked again.
   */
  private static void advance(
      Map<Criterion, List<Candidate>> left, Criterion criterion, WarmUpTurn chain) {
    if (chain.removed().isEmpty()) {
      left.remove(criterion);
      return;
    }
    Set<String> removed = new HashSet<>(chain.removed());
    left.computeIfPresent(
        criterion,
        (key, modules) ->
            modules.stream().filter(module -> !removed.contains(module.name())).toList());
  }

  private Map<Criterion, WarmUpTurn> turn(int turn, Map<List<Candidate>, List<Criterion>> sharing) {
    Stage stage = new Stage(StageKind.WARM_UP, turn, true);
    Scoreboard.Rule rule =
        new Scoreboard.Rule(Selection.HYBRID, settings.c(), settings.spreadThreshold());
    Map<Criterion, WarmUpTurn> chains = new LinkedHashMap<>();
    sharing.forEach(
        (modules, sharers) -> {
          if (listener.cancelled()) {
            throw new CancellationException("cancelled in warm-up turn " + turn);
          }
          TrainedStage trained = TrainedStage.of(trainer, stage, modules);
          Observation observation = trained.observation();
          Scoreboard scoreboard =
              new Scoreboard(modules, sharers, observation, trained.stage(), rule, partitions::get);
          for (Criterion criterion : sharers) {
            chains.put(criterion, chain(turn, criterion, modules, scoreboard, observation));
          }
        });
    return chains;
  }

  private WarmUpTurn chain(
      int turn,
      Criterion criterion,
      List<Candidate> modules,
      Scoreboard scoreboard,
      Observation observation) {
    String name = criterion.name();
    Function<Candidate, Score> score = module -> scoreboard.score(name, module);
    List<Reading> readings =
        modules.stream()
            .map(Candidate::type)
            .distinct()
            .sorted()
            .map(type -> scoreboard.reading(name, type))
            .toList();
    // What was seen of a training that learnt nothing is no vote.
    int most =
        observation.healthy() ? Math.min(settings.removedPerTurn(space), modules.size() - 1) : 0;
    List<String> removed =
        modules.stream()
            .filter(module -> scoreboard.reading(name, module.type()).informative())
            .sorted(
                PruningOrder.of(
                    module -> score.apply(module).probability(),
                    module -> score.apply(module).rank(),
                    Function.identity(),
                    settings.seed()))
            .limit(most)
            .map(Candidate::name)
            .toList();
    return new WarmUpTurn(turn, name, readings, removed, observation.health());
  }

  private Map<String, Map<Partition, Integer>> tallies(List<WarmUpTurn> history) {
    Map<String, Partition> byName = new LinkedHashMap<>();
    partitions.forEach((module, partition) -> byName.put(module.name(), partition));
    Map<String, Map<Partition, Integer>> tallies = new LinkedHashMap<>();
    for (Criterion criterion : criteria) {
      Map<Partition, Integer> tally = new LinkedHashMap<>();
      partitions.values().stream().sorted().forEach(partition -> tally.put(partition, 0));
      tallies.put(criterion.name(), tally);
    }
    for (WarmUpTurn turn : history) {
      for (String module : turn.removed()) {
        tallies.get(turn.criterion()).merge(byName.get(module), 1, Integer::sum);
      }
    }
    return tallies;
  }

  /**
   * Each partition gets the criteria with the highest tally there, each criterion goes to the
   * partitions where its own tally is highest, and a partition that got none gets all.
   */
  static Map<Partition, List<String>> assignment(Map<String, Map<Partition, Integer>> tallies) {
    Map<Partition, List<String>> assignment = new LinkedHashMap<>();
    for (Partition partition : tallies.values().iterator().next().keySet()) {
      int most = highest(tallies.values().stream().map(tally -> tally.get(partition)).toList());
      List<String> assigned = new ArrayList<>();
      tallies.forEach(
          (criterion, tally) -> {
            int here = tally.get(partition);
            if (here > 0 && (here == most || here == highest(tally.values()))) {
              assigned.add(criterion);
            }
          });
      assignment.put(partition, assigned.isEmpty() ? List.copyOf(tallies.keySet()) : assigned);
    }
    return assignment;
  }

  private static int highest(Collection<Integer> tally) {
    return tally.stream().mapToInt(Integer::intValue).max().orElseThrow();
  }
}
