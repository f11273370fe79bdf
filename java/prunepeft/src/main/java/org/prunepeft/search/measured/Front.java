package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Configurations that no other beats in metric and costs. */
final class Front {
  private static final int FLOORS = 8;
  private static final int BUDGETS = 8;
  private static final double[] PRICES = {0.25, 0.5, 1, 2};

  private final Pool pool;
  private final Archive archive;
  private final MeasuredSettings settings;

  Front(Pool pool, Archive archive, MeasuredSettings settings) {
    this.pool = pool;
    this.archive = archive;
    this.settings = settings;
  }

  /**
   * The best subsets, for several budgets, of families that differ in what they cost: those above a
   * layer, of some types, with each module charged for its costs or not.
   */
  List<BitSet> candidates(Surface surface) {
    long most = Math.min(pool.space().totalParameters(), settings.budget() / 2 * 3);
    long least = settings.budget() / 2;
    Set<BitSet> found = new LinkedHashSet<>();
    for (BitSet family : families()) {
      for (Surface priced : priced(surface)) {
        List<BitSet> frontier = priced.frontier(family, most);
        for (int i = 0; i <= BUDGETS; i++) {
          long budget = least + (most - least) * i / BUDGETS;
          within(frontier, budget, surface).ifPresent(found::add);
        }
        within(frontier, settings.budget(), surface).ifPresent(found::add);
      }
    }
    return List.copyOf(found);
  }

  private Optional<BitSet> within(List<BitSet> frontier, long budget, Surface surface) {
    return frontier.stream()
        .filter(subset -> !subset.isEmpty() && pool.size(subset) <= budget)
        .max(Comparator.comparingDouble(surface::value));
  }

  /** All modules from a layer on, of each type alone and of all. */
  List<BitSet> families() {
    Set<BitSet> families = new LinkedHashSet<>();
    int layers = pool.space().layers();
    int every = (layers + FLOORS - 1) / FLOORS;
    for (int floor = 0; floor < layers; floor += every) {
      for (int type = -1; type < pool.typeCount(); type++) {
        BitSet family = new BitSet();
        for (int i = 0; i < pool.count(); i++) {
          if (pool.layer(i) >= floor && (type < 0 || pool.type(i) == type)) {
            family.set(i);
          }
        }
        if (!family.isEmpty()) {
          families.add(family);
        }
      }
    }
    return List.copyOf(families);
  }

  /** The surface itself, and less what the modules cost at several prices of each cost. */
  private List<Surface> priced(Surface surface) {
    List<Surface> priced = new ArrayList<>();
    priced.add(surface);
    double worth = 0;
    for (double value : surface.values()) {
      worth += Math.max(0, value);
    }
    for (Cost cost : settings.costs()) {
      double[] alone = alone(cost);
      double sum = Arrays.stream(alone).sum();
      for (double price : PRICES) {
        double[] values = surface.values().clone();
        for (int i = 0; i < values.length; i++) {
          values[i] -= sum > 0 ? price * worth * alone[i] / sum : 0;
        }
        priced.add(
            new Surface(
                pool, values, surface.pairs(), surface.joint(), surface.curve(), surface.centre()));
      }
    }
    return priced;
  }

  /** What each module costs beside all others. */
  private double[] alone(Cost cost) {
    double[] alone = new double[pool.count()];
    BitSet all = pool.all();
    double whole = cost.of(pool.modules(all));
    for (int i = 0; i < alone.length; i++) {
      all.clear(i);
      alone[i] = whole - cost.of(pool.modules(all));
      all.set(i);
    }
    return alone;
  }

  /** Those that no other beats, by the first cost and then by the metric, the highest first. */
  List<BitSet> undominated(Iterable<BitSet> subsets, MetricModel model) {
    List<BitSet> order = new ArrayList<>();
    Map<BitSet, double[]> scores = new HashMap<>();
    for (BitSet subset : subsets) {
      if (!scores.containsKey(subset)) {
        order.add(subset);
        scores.put(subset, scores(subset, model));
      }
    }
    List<BitSet> kept = new ArrayList<>();
    for (BitSet subset : order) {
      double[] own = scores.get(subset);
      boolean beaten = false;
      for (BitSet other : order) {
        if (other != subset && beats(scores.get(other), own)) {
          beaten = true;
          break;
        }
      }
      if (!beaten) {
        kept.add(subset);
      }
    }
    kept.sort(
        Comparator.comparingDouble((BitSet subset) -> scores.get(subset)[1])
            .thenComparing(subset -> scores.get(subset)[0]));
    return kept;
  }

  /** Minus the metric, and the costs: all of them better when lower. */
  private double[] scores(BitSet subset, MetricModel model) {
    double[] scores = new double[settings.costs().size() + 1];
    scores[0] = -model.expected(subset);
    for (int i = 1; i < scores.length; i++) {
      scores[i] = settings.costs().get(i - 1).of(pool.modules(subset));
    }
    return scores;
  }

  private static boolean beats(double[] one, double[] other) {
    boolean better = false;
    for (int i = 0; i < one.length; i++) {
      if (one[i] > other[i]) {
        return false;
      }
      better |= one[i] < other[i];
    }
    return better;
  }

  /** At most so many of them, evenly spread. */
  static List<BitSet> thinned(List<BitSet> front, int most) {
    if (front.size() <= most) {
      return front;
    }
    List<BitSet> thinned = new ArrayList<>();
    for (int i = 0; i < most; i++) {
      thinned.add(front.get(most == 1 ? front.size() - 1 : i * (front.size() - 1) / (most - 1)));
    }
    return thinned;
  }

  /** With a model of the metric itself. */
  Configuration configuration(BitSet subset, MetricModel model) {
    ValueTable metrics = archive.metrics;
    ValueTable confirmed = archive.confirmedMetrics;
    Map<String, Double> costs = new LinkedHashMap<>();
    settings.costs().forEach(cost -> costs.put(cost.name(), cost.of(pool.modules(subset))));
    int supernet = archive.row(pool.all());
    Optional<Estimate> confirmation =
        archive.knows(subset)
            ? Optional.of(
                Statistics.paired(
                    confirmed.values(supernet), confirmed.values(archive.row(subset))))
            : Optional.empty();
    double examples = metrics.examples();
    if (pool.isExtreme(subset)) {
      int row = archive.row(subset);
      return new Configuration(
          pool.modules(subset),
          Statistics.estimate(
              metrics.mean(row), metrics.covariance(row, row) / examples, examples - 1),
          // What it lies below itself is known.
          row == supernet
              ? new Estimate(0, 0, 0)
              : Statistics.paired(metrics.values(supernet), metrics.values(row)),
          confirmation,
          costs);
    }
    double metric = model.predict(subset);
    return new Configuration(
        pool.modules(subset),
        Statistics.estimate(metric, model.variance(subset), examples - 1),
        Statistics.estimate(
            metrics.mean(supernet) - metric, model.varianceBelow(supernet, subset), examples - 1),
        confirmation,
        costs);
  }
}
