package org.prunepeft.search.measured;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/**
 * What a measured search found.
 *
 * @param space the supernet
 * @param settings the seed, budget, effort and costs by which it was found
 * @param best the subset of the budget with the highest expected metric; or one that is within a
 *     tenth of a standard deviation of it and saves at least 5 % of a cost. Sorted by layer, type
 *     and name
 * @param kept the choice: the best; or, where placement does not matter, the cheapest that is not
 *     measurably worse and saves at least 5 %: of the first cost, or of the first that does where
 *     more than a negligible difference is excluded; or the cheapest within the tolerance where one
 *     is given
 * @param choice which of these it is
 * @param decidedBy name of the cost for which it was kept in place of the best; empty: it is the
 *     best
 * @param placementMatters whether the best is measurably better than random subsets of the budget:
 *     the interval of that comparison lies above zero, by the score, and that by the metric does
 *     too or allows more than a negligible gain
 * @param negligibleGain whether placement does not matter though, by the score, the best is better
 *     than random subsets: by the metric it may gain what is negligible at most
 * @param values of all modules, in the order of the space
 * @param pairs interactions that show, those with the most evidence first
 * @param bestComparisons the best against each rival
 * @param comparisons the choice against each rival
 * @param spread how much random subsets of the budget differ; empty: there is but one
 * @param explained the share of the variance between the design's subsets, noise apart, that the
 *     model of the metric explains, from 0 to 1
 * @param front configurations that no other beats, by their first cost
 * @param measured all subsets that were measured, in that order
 * @param examples how many examples choices were made on
 * @param confirmationExamples how many others there were
 */
public record MeasuredResult(
    SearchSpace space,
    MeasuredSettings settings,
    List<Candidate> best,
    List<Candidate> kept,
    Choice choice,
    Optional<String> decidedBy,
    boolean placementMatters,
    boolean negligibleGain,
    List<ModuleValue> values,
    List<PairValue> pairs,
    List<Comparison> bestComparisons,
    List<Comparison> comparisons,
    Optional<Spread> spread,
    double explained,
    List<Configuration> front,
    List<MeasuredSubset> measured,
    int examples,
    int confirmationExamples) {
  /** Why a subset was kept. */
  public enum Choice {
    /** It is the best of the budget, or the best by what was measured where no difference shows. */
    BEST,
    /** Which modules are kept makes no measurable difference, and it is cheaper than the best. */
    CHEAPEST,
    /** It is the cheapest within the tolerance. */
    WITHIN_TOLERANCE
  }

  /** Copies the lists. */
  public MeasuredResult {
    best = List.copyOf(best);
    kept = List.copyOf(kept);
    values = List.copyOf(values);
    pairs = List.copyOf(pairs);
    bestComparisons = List.copyOf(bestComparisons);
    comparisons = List.copyOf(comparisons);
    front = List.copyOf(front);
    measured = List.copyOf(measured);
  }

  /** {@return the trainable parameters of the modules kept} */
  public long parameters() {
    return Candidate.total(kept);
  }

  /** {@return all but the space and the settings, modules by name, for JSON} */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("kept", Candidate.names(kept));
    map.put("choice", word(choice));
    map.put("decided_by", decidedBy.orElse(null));
    map.put("parameters", parameters());
    map.put("placement_matters", placementMatters);
    map.put("negligible_gain", negligibleGain);
    map.put("best", Candidate.names(best));
    map.put("comparisons", comparisons(comparisons));
    map.put("comparisons_of_best", comparisons(bestComparisons));
    map.put("spread", spread.orElse(null));
    map.put("explained", explained);
    map.put("values", values.stream().map(MeasuredResult::value).toList());
    map.put("pairs", pairs.stream().map(MeasuredResult::pair).toList());
    map.put("front", front.stream().map(MeasuredResult::configuration).toList());
    map.put("measured", measured.stream().map(MeasuredResult::subset).toList());
    map.put("examples", examples);
    map.put("confirmation_examples", confirmationExamples);
    return map;
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }

  private static Map<String, Object> comparisons(List<Comparison> comparisons) {
    return comparisons.stream()
        .collect(
            Collectors.toMap(
                each -> word(each.against()),
                each -> each.difference().toMap(),
                (one, other) -> one,
                LinkedHashMap::new));
  }

  private static Map<String, Object> value(ModuleValue value) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("module", value.module().name());
    map.put("kept", value.kept());
    map.putAll(value.value().toMap());
    map.put("score", value.score());
    return map;
  }

  private static Map<String, Object> pair(PairValue pair) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("first", pair.first().name());
    map.put("second", pair.second().name());
    map.putAll(pair.value().toMap());
    map.put("evidence", pair.evidence());
    return map;
  }

  private static Map<String, Object> configuration(Configuration configuration) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("modules", Candidate.names(configuration.modules()));
    map.put("costs", configuration.costs());
    map.put("metric", configuration.metric().toMap());
    map.put("below_supernet", configuration.belowSupernet().toMap());
    map.put("confirmed", configuration.confirmed().map(Estimate::toMap).orElse(null));
    return map;
  }

  private static Map<String, Object> subset(MeasuredSubset subset) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("purpose", word(subset.purpose()));
    map.put("modules", Candidate.names(subset.modules()));
    map.put("score", subset.score());
    map.put("search", subset.search());
    map.put("confirmation", subset.confirmation());
    return map;
  }
}
