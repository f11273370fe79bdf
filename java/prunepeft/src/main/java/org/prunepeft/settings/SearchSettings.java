package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.List;
import java.util.OptionalLong;
import org.prunepeft.search.Criteria;
import org.prunepeft.search.Criterion;
import org.prunepeft.search.PruningSettings;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.text.Required;
import org.prunepeft.train.CriterionSettings;

/**
 * How a search goes.
 *
 * @param keep share of the supernet's trainable parameters to keep, in (0, 1]; ignored where there
 *     is a budget
 * @param budget trainable parameters to keep at most, the head apart
 * @param start modules that the search begins with, such as those that an earlier one kept; null:
 *     all
 * @param strategy which criteria judge which partition; null: a warm-up finds it, or modules are
 *     measured or chosen in another way
 * @param warmUp how the warm-up goes; its seed is the run's, and what it says of scores (the least
 *     spread, c) holds in the rounds as well
 * @param warmUpCriteria that the warm-up chooses from, one or more, by their names in {@link
 *     Criteria}; more of them are more trainings
 * @param warmUpExamples it trains on, drawn with the labels' distribution
 * @param warmUpEpochs epochs of each training of the warm-up, 1 or more
 * @param rounds trainings of the supernet, each followed by removals, 1 or more
 * @param roundExamples a round trains on (low fidelity), drawn likewise
 * @param roundEpochs epochs of a round's training, 1 or more
 * @param selection over which modules the pruning probability is shared out
 * @param weights how the criteria of a partition are weighed
 * @param reinitialise whether each round starts from new weights
 * @param criteria what the criteria's definitions leave open
 * @param measured how modules are measured, in place of warm-up and rounds; null: they are not
 * @param peer another way to choose modules, likewise; null: there is none
 */
@RecordBuilder
public record SearchSettings(
    double keep,
    OptionalLong budget,
    ModuleChoice start,
    Strategy strategy,
    WarmUpSettings warmUp,
    List<String> warmUpCriteria,
    int warmUpExamples,
    int warmUpEpochs,
    int rounds,
    int roundExamples,
    int roundEpochs,
    PruningSettings.Selection selection,
    PruningSettings.Weighting weights,
    boolean reinitialise,
    CriterionSettings criteria,
    MeasuringSettings measured,
    PeerSettings peer)
    implements RunSettings, SearchSettingsBuilder.With {
  private static final PruningSettings PRUNING = PruningSettings.of(1);

  /**
   * Half of the supernet's parameters, a warm-up on 128 examples of the paper's criteria but {@code
   * zeros}, three rounds on 1,000.
   */
  public static final SearchSettings DEFAULT =
      SearchSettingsBuilder.builder()
          .keep(0.5)
          .warmUp(WarmUpSettings.DEFAULT)
          .warmUpCriteria(usual())
          .warmUpExamples(128)
          .warmUpEpochs(3)
          .rounds(PRUNING.rounds())
          .roundExamples(1000)
          .roundEpochs(1)
          .selection(PRUNING.selection())
          .weights(PRUNING.weights())
          .reinitialise(PRUNING.reinitialise())
          .criteria(CriterionSettings.DEFAULT)
          .build();

  /** Hardly a weight of a trained module is 0, so that {@code zeros} tells none from another. */
  private static List<String> usual() {
    return Criteria.six().stream()
        .filter(criterion -> criterion != Criteria.ZEROS)
        .map(Criterion::name)
        .toList();
  }

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public SearchSettings {
    new Budget(keep, budget);
    if (measured != null && peer != null) {
      throw new IllegalArgumentException(
          "a search measures modules or goes another way, got settings of both");
    }
    if (strategy != null && (measured != null || peer != null)) {
      throw new IllegalArgumentException(
          "a strategy says which criteria judge the modules of a search by pruning, and this one %s; leave out the strategy, or that"
              .formatted(measured != null ? "measures them" : "goes another way (peer)"));
    }
    Required.present("warmUp", warmUp);
    Required.present("warmUpCriteria", warmUpCriteria);
    Required.present("selection", selection);
    Required.present("weights", weights);
    Required.present("criteria", criteria);
    if (warmUpCriteria.isEmpty()) {
      throw new IllegalArgumentException("the warm-up needs at least one criterion, got none");
    }
    warmUpCriteria.forEach(Criteria::byName);
    warmUpCriteria = List.copyOf(warmUpCriteria);
    atLeastOne(warmUpExamples, "warm-up examples");
    atLeastOne(warmUpEpochs, "warm-up epochs");
    atLeastOne(rounds, "rounds");
    atLeastOne(roundExamples, "round examples");
    atLeastOne(roundEpochs, "round epochs");
  }

  private static void atLeastOne(int value, String name) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, got " + value);
    }
  }

  /**
   * {@return the modules that the search begins with}
   *
   * @param supernet all that there are
   * @param seed of the run
   * @throws IllegalArgumentException if it is to begin with some that are not there, or with none
   */
  public SearchSpace within(SearchSpace supernet, long seed) {
    return start == null ? supernet : new SearchSpace(supernet.layers(), start.of(supernet, seed));
  }

  /** The parameters to keep at most, of a supernet's. */
  public long budgetOf(long supernet) {
    return new Budget(keep, budget).of(supernet);
  }

  /** {@return a builder that begins with the defaults} */
  public static SearchSettingsBuilder builder() {
    return SearchSettingsBuilder.builder(DEFAULT);
  }
}
