package org.prunepeft.search;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import org.prunepeft.search.Criterion.Order;
import org.prunepeft.search.PruningSettings.Selection;
import org.prunepeft.search.Reading.LeftOut;

/** Every criterion's scores of every module that is left, after one training. */
final class Scoreboard {
  /**
   * Fewer modules are too few to distinguish agreement from chance: two agree or disagree by a
   * coin.
   */
  private static final int FEWEST_FOR_RELIABILITY = 3;

  /**
   * How scores become probabilities.
   *
   * @param selection over which modules they compete
   * @param c of k = sigmoid(c − rank)
   * @param spreadThreshold the least spread, relative to the mean, with which a criterion counts
   */
  record Rule(Selection selection, double c, double spreadThreshold) {}

  private final Map<String, Map<Candidate, Score>> scores = new LinkedHashMap<>();
  private final Map<String, Map<String, Reading>> readings = new LinkedHashMap<>();

  /**
   * @param modules those that are left, sorted
   * @param criteria those that score, sorted
   * @param partitionOf where each module sits
   * @throws IllegalStateException if statistics of a module are missing
   * @throws ArithmeticException if a score is not finite
   */
  Scoreboard(
      List<Candidate> modules,
      List<Criterion> criteria,
      Observation observation,
      Stage stage,
      Rule rule,
      Function<Candidate, Partition> partitionOf) {
    Map<String, List<Candidate>> byType = grouped(modules, Candidate::type);
    for (Criterion criterion : criteria) {
      Map<Candidate, Score> ofCriterion = new LinkedHashMap<>();
      Map<String, Reading> ofTypes = new LinkedHashMap<>();
      byType.forEach(
          (type, peers) -> {
            double[] raw = raw(criterion, peers, observation.whole(), stage, "");
            ofTypes.put(type, reading(criterion, type, peers, raw, observation, stage, rule));
            ofCriterion.putAll(judge(criterion, peers, raw, rule, partitionOf));
          });
      scores.put(criterion.name(), ofCriterion);
      readings.put(criterion.name(), ofTypes);
    }
  }

  Score score(String criterion, Candidate module) {
    return scores.get(criterion).get(module);
  }

  Reading reading(String criterion, String type) {
    return readings.get(criterion).get(type);
  }

  /** By criterion, then by type. */
  List<Reading> readings() {
    return readings.values().stream().flatMap(ofTypes -> ofTypes.values().stream()).toList();
  }

  /** In the order of their first members. */
  static <K> Map<K, List<Candidate>> grouped(
      List<Candidate> modules, Function<Candidate, K> groupOf) {
    Map<K, List<Candidate>> groups = new LinkedHashMap<>();
    for (Candidate module : modules) {
      groups.computeIfAbsent(groupOf.apply(module), key -> new ArrayList<>()).add(module);
    }
    return groups;
  }

  private static double[] raw(
      Criterion criterion,
      List<Candidate> peers,
      Map<String, ModuleStatistics> statistics,
      Stage stage,
      String part) {
    double[] raw = new double[peers.size()];
    for (int i = 0; i < raw.length; i++) {
      String name = peers.get(i).name();
      ModuleStatistics ofModule = statistics.get(name);
      if (ofModule == null) {
        throw new IllegalStateException(
            "the trainer must report statistics of every module that is left, got none of "
                + name
                + part
                + " in "
                + stage.name());
      }
      if (ofModule.count() < 1) {
        throw new IllegalStateException(
            "a module must have at least 1 weight to be scored, got "
                + ofModule.count()
                + " (module "
                + name
                + part
                + ", "
                + stage.name()
                + ")");
      }
      raw[i] = criterion.score(ofModule);
      if (!Double.isFinite(raw[i])) {
        throw new NotFiniteException(
            "criterion "
                + criterion.name()
                + " of module "
                + name
                + part
                + " must be finite, got "
                + raw[i]
                + " in "
                + stage.name()
                + "; if training diverged, lower the learning rate");
      }
    }
    return raw;
  }

  private static Reading reading(
      Criterion criterion,
      String type,
      List<Candidate> peers,
      double[] raw,
      Observation observation,
      Stage stage,
      Rule rule) {
    double range = Ranking.max(raw) - Ranking.min(raw);
    double meanAbs = 0;
    for (double score : raw) {
      meanAbs += Math.abs(score) / raw.length;
    }
    Optional<LeftOut> leftOut = Optional.empty();
    if (raw.length == 1) {
      leftOut = Optional.of(LeftOut.ONE_MODULE);
    } else if (range == 0) {
      leftOut = Optional.of(LeftOut.TIED);
    } else if (range < rule.spreadThreshold() * meanAbs) {
      leftOut = Optional.of(LeftOut.NEARLY_TIED);
    }
    OptionalDouble reliability = OptionalDouble.empty();
    if (criterion.seesData() && observation.hasHalves() && peers.size() >= FEWEST_FOR_RELIABILITY) {
      reliability =
          OptionalDouble.of(
              Ranking.spearman(
                  raw(criterion, peers, observation.firstHalf(), stage, " (first half)"),
                  raw(criterion, peers, observation.secondHalf(), stage, " (second half)")));
    }
    return new Reading(
        criterion.name(), type, range == 0 ? 0 : range / meanAbs, reliability, leftOut);
  }

  private static Map<Candidate, Score> judge(
      Criterion criterion,
      List<Candidate> peers,
      double[] raw,
      Rule rule,
      Function<Candidate, Partition> partitionOf) {
    int n = raw.length;
    double min = Ranking.min(raw);
    double max = Ranking.max(raw);
    double[] scaled = new double[n];
    double[] oriented = new double[n];
    for (int i = 0; i < n; i++) {
      boolean smallFirst = criterion.prunedFirst() == Order.SMALLEST;
      oriented[i] = smallFirst ? -raw[i] : raw[i];
      scaled[i] = max == min ? 0 : (smallFirst ? max - raw[i] : raw[i] - min) / (max - min);
    }
    double[] ranks = Ranking.descendingMeanRanks(oriented);
    Map<Candidate, Double> weights = new LinkedHashMap<>();
    for (int i = 0; i < n; i++) {
      // k·Θ is in [0, 1], so exp needs no shift. StrictMath: the same bits on every machine.
      double k = 1 / (1 + StrictMath.exp(ranks[i] - rule.c()));
      weights.put(peers.get(i), StrictMath.exp(k * scaled[i]));
    }
    Map<Candidate, Double> probabilities =
        rule.selection() == Selection.HYBRID
            ? shares(peers, weights, n)
            : sharesWithin(grouped(peers, partitionOf), weights);
    Map<Candidate, Score> judged = new LinkedHashMap<>();
    for (int i = 0; i < n; i++) {
      Candidate module = peers.get(i);
      judged.put(module, new Score(raw[i], scaled[i], ranks[i], probabilities.get(module)));
    }
    return judged;
  }

  private static Map<Candidate, Double> sharesWithin(
      Map<Partition, List<Candidate>> partitions, Map<Candidate, Double> weights) {
    Map<Candidate, Double> shares = new LinkedHashMap<>();
    partitions.values().forEach(members -> shares.putAll(shares(members, weights, 1)));
    return shares;
  }

  private static Map<Candidate, Double> shares(
      List<Candidate> members, Map<Candidate, Double> weights, int times) {
    double sum = 0;
    for (Candidate member : members) {
      sum += weights.get(member);
    }
    Map<Candidate, Double> shares = new LinkedHashMap<>();
    for (Candidate member : members) {
      // Multiplied first: exactly 1 where all weights are 1.
      shares.put(member, times * weights.get(member) / sum);
    }
    return shares;
  }
}
