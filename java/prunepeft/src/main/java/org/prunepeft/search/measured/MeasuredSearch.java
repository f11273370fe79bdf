package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.prunepeft.search.DepthOrder;
import org.prunepeft.search.DepthOrder.Layers;
import org.prunepeft.search.RandomSelection;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Comparison.Rival;
import org.prunepeft.search.measured.MeasuredResult.Choice;
import org.prunepeft.search.measured.MeasuredSubset.Purpose;
import org.prunepeft.search.measured.Statistics.Shift;

/**
 * Measures what the modules of a trained supernet are worth, and finds the best subset of a budget.
 *
 * <p>Subsets of about the budget, random ones of it and those of depth rules are measured first; a
 * regression over them gives the modules' values. Then, batch by batch, those subsets are measured
 * that may be the best by what is known. Last come configurations of the front. Choices are made on
 * one part of the examples, by the score; what is said of the choice in the end is from the other
 * part, of the metric.
 */
public final class MeasuredSearch {
  /** Within so many standard deviations of their difference, two subsets are as good. */
  private static final double NEAR = 0.1;

  /** Cheap subsets that are measured, lest the cheapest turn out to be worse. */
  private static final int CHEAP = 4;

  /**
   * So many standard deviations below the best a subset is measurably worse. The best was chosen
   * from hundreds: by chance alone it is more than two above an ordinary one.
   */
  private static final double CLEAR = 3;

  /**
   * The same where no difference to random subsets shows, which does not prove that there is none:
   * a saving must not cost more than what choosing the best by chance brings.
   */
  private static final double BY_CHANCE = 2.5;

  /** At such a share of the best's cost a subset that is as good is taken in its place. */
  private static final double WORTHWHILE = 0.95;

  private static final int MORE_RANDOM = 512;

  /** Random subsets are drawn so many times as often as wanted at most, to find distinct ones. */
  private static final int MOST_DRAWS = 50;

  private final SearchSpace space;
  private final MeasuredSettings settings;
  private final Pool pool;
  private final Archive archive;
  private final Refinement refinement;
  private final Front front;
  private final SplittableRandom random;
  private final Map<Rival, BitSet> rivals = new EnumMap<>(Rival.class);
  private final List<BitSet> randomSubsets = new ArrayList<>();

  /**
   * Checks that there is something to choose among.
   *
   * @throws IllegalArgumentException if there is but one module
   */
  public static void requireChoice(SearchSpace space) {
    if (space.candidates().size() < 2) {
      throw new IllegalArgumentException(
          "a measured search needs 2 modules or more to choose among, got 1 (%s); train it as it is, or give the supernet more"
              .formatted(space.candidates().get(0).name()));
    }
  }

  private MeasuredSearch(SearchSpace space, MeasuredSettings settings, SubsetMeasurer measurer) {
    requireChoice(space);
    space.requireBudget(settings.budget());
    this.space = space;
    this.settings = settings;
    pool = new Pool(space);
    archive = new Archive(pool, settings, measurer);
    refinement = new Refinement(pool, archive, settings.budget());
    front = new Front(pool, archive, settings);
    random = new SplittableRandom(settings.seed());
  }

  /**
   * Searches.
   *
   * @param space all modules that there are
   * @param settings budget, effort, costs
   * @param measurer measures subsets; what it throws ends the search
   * @return the choice, with all that led to it
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget}), or there is but one module
   * @throws IllegalStateException if the measurer gives other numbers of subsets or examples than
   *     asked for, or fewer than 20 examples
   * @throws ArithmeticException if a measurement is not finite
   */
  public static MeasuredResult run(
      SearchSpace space, MeasuredSettings settings, SubsetMeasurer measurer) {
    return new MeasuredSearch(space, settings, measurer).run();
  }

  private MeasuredResult run() {
    measureDesign();
    int[] design = rows(Set.of(Purpose.DESIGN, Purpose.RANDOM));
    MetricModel learnt = MetricModel.fit(pool, archive, archive.scores, design, settings.pairs());
    MetricModel model = refine(learnt);
    model = measureFront(model);

    BitSet best = asGood(filling(refinement.best(model), model), model);
    // Chosen is by the score; what is said is of the metric.
    MetricModel ofMetric =
        archive.metrics == archive.scores
            ? learnt
            : MetricModel.fit(pool, archive, archive.metrics, design, settings.pairs());
    List<BitSet> more = moreRandomSubsets();
    Shift scoreDraws = learnt.shift(more, randomSubsets);
    double[][] randomValues = randomSubsets.stream().map(this::allValues).toArray(double[][]::new);
    Optional<Spread> spread = Statistics.spread(randomValues);
    Shift draws = ofMetric.shift(more, randomSubsets);
    List<Comparison> ofBest = comparisons(best, draws);
    Estimate ofTheMetric = againstRandom(best, archive.confirmedMetrics, draws);
    boolean negligible = ofTheMetric.high() <= settings.negligible();
    // A score shows differences that are too small to be seen in the metric, and to be worth it.
    boolean gains = againstRandom(best, archive.confirmedScores, scoreDraws).low() > 0;
    boolean matters = gains && (ofTheMetric.low() > 0 || !negligible);
    List<Configuration> configurations = configurations(MetricModel.refit(ofMetric, chooseable()));
    Saving kept = new Saving(best, Optional.empty());
    Choice choice = Choice.BEST;
    Optional<BitSet> tolerated = tolerated(configurations);
    if (tolerated.isPresent()) {
      kept = new Saving(tolerated.get(), Optional.of(settings.objective()));
      choice = Choice.WITHIN_TOLERANCE;
    } else if (!matters) {
      kept =
          saving(
              best,
              noMatter(best, model, scoreDraws),
              negligible ? settings.costs() : List.of(settings.objective()));
      choice = kept.by.isPresent() ? Choice.CHEAPEST : Choice.BEST;
    }
    return new MeasuredResult(
        space,
        settings,
        pool.modules(best),
        pool.modules(kept.subset),
        choice,
        kept.by.map(Cost::name),
        matters,
        gains && !matters,
        values(ofMetric, learnt, kept.subset),
        pairs(ofMetric),
        ofBest,
        kept.subset.equals(best) ? ofBest : comparisons(kept.subset, draws),
        spread,
        learnt.explained(),
        configurations,
        archive.listed(),
        archive.metrics.examples(),
        archive.confirmedMetrics.examples());
  }

  private void measureDesign() {
    rivals.put(Rival.SUPERNET, pool.all());
    rivals.put(Rival.NONE, new BitSet());
    rivals.put(Rival.FIRST_LAYERS, byDepth(Layers.FIRST));
    rivals.put(Rival.MIDDLE_LAYERS, byDepth(Layers.MIDDLE));
    rivals.put(Rival.LAST_LAYERS, byDepth(Layers.LAST));
    Map<BitSet, Purpose> wanted = new LinkedHashMap<>();
    wanted.put(rivals.get(Rival.SUPERNET), Purpose.SUPERNET);
    wanted.put(rivals.get(Rival.NONE), Purpose.NONE);
    drawRandomSubsets();
    randomSubsets.forEach(subset -> wanted.putIfAbsent(subset, Purpose.RANDOM));
    for (BitSet subset :
        DesignDraw.draw(
            pool, settings.budget(), settings.effort().design(), wanted.keySet(), random.split())) {
      wanted.putIfAbsent(subset, Purpose.DESIGN);
    }
    for (Rival rival : List.of(Rival.FIRST_LAYERS, Rival.MIDDLE_LAYERS, Rival.LAST_LAYERS)) {
      wanted.putIfAbsent(rivals.get(rival), Purpose.DEPTH);
    }
    archive.measure(wanted);
  }

  /**
   * Distinct ones: of a subset that is drawn again nothing more is learnt. In a small space there
   * may be fewer than wanted.
   */
  private void drawRandomSubsets() {
    int wanted = settings.effort().random();
    Set<BitSet> distinct = new LinkedHashSet<>();
    for (int draw = 0; distinct.size() < wanted && draw < MOST_DRAWS * wanted; draw++) {
      distinct.add(randomSubset(random));
    }
    randomSubsets.addAll(distinct);
  }

  private BitSet randomSubset(SplittableRandom seeds) {
    return pool.bits(RandomSelection.keep(space, settings.budget(), seeds.nextLong()));
  }

  private BitSet byDepth(Layers layers) {
    return pool.bits(DepthOrder.keep(space, settings.budget(), layers));
  }

  private int[] rows(Set<Purpose> purposes) {
    return IntStream.range(0, archive.size())
        .filter(row -> purposes.contains(archive.purpose(row)))
        .toArray();
  }

  /** All but the supernet and the empty subset, which are far from what is to be chosen. */
  private int[] chooseable() {
    return IntStream.range(0, archive.size())
        .filter(row -> !pool.isExtreme(archive.subset(row)))
        .toArray();
  }

  private MetricModel refine(MetricModel learnt) {
    MetricModel model = MetricModel.refit(learnt, chooseable());
    SplittableRandom draws = random.split();
    int left = settings.effort().refinement();
    while (left > 0) {
      List<BitSet> next = refinement.next(model, Math.min(left, settings.effort().batch()), draws);
      if (next.isEmpty()) {
        break;
      }
      measure(Purpose.REFINEMENT, next);
      left -= next.size();
      model = MetricModel.refit(model, chooseable());
    }
    return model;
  }

  private void measure(Purpose purpose, Iterable<BitSet> subsets) {
    Map<BitSet, Purpose> wanted = new LinkedHashMap<>();
    subsets.forEach(subset -> wanted.put(subset, purpose));
    archive.measure(wanted);
  }

  private MetricModel measureFront(MetricModel model) {
    int most = settings.effort().front();
    List<BitSet> candidates = front.candidates(model.surface());
    BitSet best = refinement.best(model);
    Set<BitSet> wanted = new LinkedHashSet<>();
    for (BitSet cheap : cheap(candidates)) {
      if (wanted.size() < Math.min(CHEAP, most)
          && !archive.knows(cheap)
          && !worse(cheap, best, model, CLEAR)) {
        wanted.add(cheap);
      }
    }
    List<BitSet> points =
        front.undominated(candidates, model).stream()
            .filter(subset -> !archive.knows(subset) && !wanted.contains(subset))
            .toList();
    wanted.addAll(Front.thinned(points, most - wanted.size()));
    if (wanted.isEmpty()) {
      return model;
    }
    measure(Purpose.FRONT, wanted);
    return MetricModel.refit(model, chooseable());
  }

  /** Subsets that fill the budget, the cheapest first, by each cost in turn. */
  private Set<BitSet> cheap(List<BitSet> candidates) {
    Set<BitSet> filling = new LinkedHashSet<>();
    for (BitSet family : front.families()) {
      BitSet filled = new BitSet();
      family.stream()
          .boxed()
          .sorted(
              Comparator.comparingInt((Integer number) -> -pool.layer(number))
                  .thenComparing(number -> -pool.size(number)))
          .forEach(number -> addIfItFits(filled, number));
      filling.add(filled);
    }
    filling.addAll(candidates);
    filling.removeIf(subset -> !pool.fills(subset, settings.budget()));
    List<Iterator<BitSet>> byCost =
        settings.costs().stream()
            .map(cost -> filling.stream().sorted(by(cost)).iterator())
            .toList();
    Set<BitSet> cheap = new LinkedHashSet<>();
    for (int i = 0; i < filling.size(); i++) {
      byCost.forEach(each -> cheap.add(each.next()));
    }
    return cheap;
  }

  private void addIfItFits(BitSet subset, int number) {
    if (pool.size(subset) + pool.size(number) <= settings.budget()) {
      subset.set(number);
    }
  }

  /** By a cost; then by the lowest layer, the higher the faster in training. */
  private Comparator<BitSet> by(Cost cost) {
    return Comparator.comparingDouble((BitSet subset) -> of(cost, subset))
        .thenComparing(subset -> -pool.lowestLayer(subset))
        .thenComparing(BitSet::cardinality);
  }

  private double of(Cost cost, BitSet subset) {
    return cost.of(pool.modules(subset));
  }

  private double added(Cost cost, BitSet subset) {
    return of(cost, subset) - cost.fixed();
  }

  private static boolean worse(BitSet subset, BitSet best, MetricModel model, double deviations) {
    double loss = model.expected(best) - model.expected(subset);
    return loss > deviations * Math.sqrt(model.varianceToBest(subset, best));
  }

  /**
   * A subset in place of the best.
   *
   * @param by what it saves; empty: it is the best itself
   */
  private record Saving(BitSet subset, Optional<Cost> by) {}

  /** The cheapest of some subsets, by the first cost of which one saves enough. */
  private Saving saving(BitSet best, List<BitSet> subsets, List<Cost> costs) {
    for (Cost cost : costs) {
      Optional<BitSet> cheapest =
          subsets.stream()
              .min(by(cost))
              .filter(subset -> of(cost, subset) < of(cost, best))
              .filter(subset -> added(cost, subset) <= WORTHWHILE * added(cost, best));
      if (cheapest.isPresent()) {
        return new Saving(cheapest.get(), Optional.of(cost));
      }
    }
    return new Saving(best, Optional.empty());
  }

  /**
   * The best, or where parameters are the objective and it leaves room for a module the best that
   * leaves none, unless that is measurably worse: noise makes a module that is worth nothing look
   * harmful in one of two cases.
   */
  private BitSet filling(BitSet best, MetricModel model) {
    if (!(settings.objective() instanceof Cost.ParameterCount)
        || pool.fills(best, settings.budget())) {
      return best;
    }
    return affordable()
        .max(Comparator.comparingDouble(model::expected))
        .filter(subset -> !worse(subset, best, model, BY_CHANCE))
        .orElse(best);
  }

  /** The best, or a measured subset of the budget that is nearly as good and saves something. */
  private BitSet asGood(BitSet best, MetricModel model) {
    List<BitSet> near = affordable().filter(subset -> !worse(subset, best, model, NEAR)).toList();
    return saving(best, near, settings.costs()).subset;
  }

  /** Those that are not measurably worse, than the best or than random ones. */
  private List<BitSet> noMatter(BitSet best, MetricModel model, Shift draws) {
    return affordable()
        .filter(subset -> pool.fills(subset, settings.budget()))
        .filter(subset -> !worse(subset, best, model, BY_CHANCE))
        .filter(subset -> againstRandom(subset, archive.scores, draws).high() >= 0)
        .toList();
  }

  /**
   * Measured subsets of the budget, all modules too where they are within it. Where parameters are
   * the objective, those that fill it: it says how many there may be, so that fewer are no saving.
   */
  private Stream<BitSet> affordable() {
    boolean filled = settings.objective() instanceof Cost.ParameterCount;
    return Stream.concat(
            Arrays.stream(chooseable()).mapToObj(archive::subset), Stream.of(pool.all()))
        .filter(subset -> pool.size(subset) <= settings.budget())
        .filter(subset -> !filled || pool.fills(subset, settings.budget()));
  }

  private List<Configuration> configurations(MetricModel model) {
    List<BitSet> measured = IntStream.range(0, archive.size()).mapToObj(archive::subset).toList();
    return front.undominated(measured, model).stream()
        .map(subset -> front.configuration(subset, model))
        .toList();
  }

  private Optional<BitSet> tolerated(List<Configuration> configurations) {
    if (settings.tolerance().isEmpty()) {
      return Optional.empty();
    }
    List<Configuration> affordable =
        configurations.stream()
            .filter(each -> !each.modules().isEmpty())
            .filter(each -> pool.size(pool.bits(each.modules())) <= settings.budget())
            .toList();
    return Configuration.cheapest(
            affordable, settings.objective().name(), settings.tolerance().getAsDouble())
        .map(each -> pool.bits(each.modules()));
  }

  /** Not measured; the model predicts what the few that are lack to the mean of all. */
  private List<BitSet> moreRandomSubsets() {
    SplittableRandom seeds = random.split();
    return IntStream.range(0, MORE_RANDOM).mapToObj(i -> randomSubset(seeds)).toList();
  }

  private double[] allValues(BitSet subset) {
    double[] search = archive.metrics.values(archive.row(subset));
    double[] confirmation = archive.confirmedMetrics.values(archive.row(subset));
    double[] all = Arrays.copyOf(search, search.length + confirmation.length);
    System.arraycopy(confirmation, 0, all, search.length, confirmation.length);
    return all;
  }

  private List<Comparison> comparisons(BitSet subset, Shift draws) {
    double[] own = archive.confirmedMetrics.values(archive.row(subset));
    List<Comparison> comparisons = new ArrayList<>();
    comparisons.add(
        new Comparison(Rival.RANDOM, againstRandom(subset, archive.confirmedMetrics, draws)));
    rivals.forEach(
        (rival, other) -> {
          if (!other.equals(subset)) {
            double[] values = archive.confirmedMetrics.values(archive.row(other));
            comparisons.add(new Comparison(rival, Statistics.paired(own, values)));
          }
        });
    return comparisons;
  }

  private Estimate againstRandom(BitSet subset, ValueTable values, Shift draws) {
    double[][] drawn =
        randomSubsets.stream()
            .map(each -> values.values(archive.row(each)))
            .toArray(double[][]::new);
    return Statistics.againstRandom(values.values(archive.row(subset)), drawn, draws);
  }

  private List<ModuleValue> values(MetricModel ofMetric, MetricModel ofScore, BitSet kept) {
    List<Estimate> estimates = ofMetric.estimates();
    List<Estimate> scores = ofScore.estimates();
    return IntStream.range(0, pool.count())
        .mapToObj(
            i ->
                new ModuleValue(
                    pool.module(i), estimates.get(i), scores.get(i).mean(), kept.get(i)))
        .toList();
  }

  private List<PairValue> pairs(MetricModel learnt) {
    List<Estimate> estimates = learnt.estimates();
    return IntStream.range(0, learnt.pairs().size())
        .mapToObj(
            i ->
                new PairValue(
                    pool.module(learnt.pairs().get(i).first()),
                    pool.module(learnt.pairs().get(i).second()),
                    estimates.get(pool.count() + i),
                    learnt.pairEvidence(i)))
        .sorted(Comparator.comparingDouble(PairValue::evidence).reversed())
        .toList();
  }
}
