package org.prunepeft;

import java.util.OptionalLong;
import org.prunepeft.search.PruningSettings;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.WarmUpSettings;
import org.prunepeft.train.CriterionSettings;

/**
 * How a search goes.
 *
 * @param keep share of the supernet's trainable parameters to keep, in (0, 1]; ignored where there
 *     is a budget
 * @param budget trainable parameters to keep at most, the head apart
 * @param strategy which criteria judge which partition; null: a warm-up finds it
 * @param warmUp how the warm-up goes; its seed is the run's
 * @param warmUpExamples it trains on, drawn with the labels' distribution
 * @param warmUpEpochs a turn
 * @param rounds of pruning
 * @param roundExamples a round trains on (low fidelity), drawn likewise
 * @param roundEpochs a round
 * @param selection over which modules the pruning probability is shared out
 * @param weights how the criteria of a partition are weighed
 * @param reinitialise whether each round starts from new weights
 * @param criteria what the criteria's definitions leave open
 */
public record SearchSettings(
    double keep,
    OptionalLong budget,
    Strategy strategy,
    WarmUpSettings warmUp,
    int warmUpExamples,
    int warmUpEpochs,
    int rounds,
    int roundExamples,
    int roundEpochs,
    PruningSettings.Selection selection,
    PruningSettings.Weights weights,
    boolean reinitialise,
    CriterionSettings criteria) {
  /** Half of the supernet's parameters, a warm-up on 128 examples, three rounds on 1,000. */
  public static final SearchSettings DEFAULT =
      new SearchSettings(
          0.5,
          OptionalLong.empty(),
          null,
          WarmUpSettings.defaults(),
          128,
          3,
          PruningSettings.DEFAULT_ROUNDS,
          1000,
          1,
          PruningSettings.Selection.HYBRID,
          PruningSettings.Weights.ALIKE,
          true,
          CriterionSettings.DEFAULT);

  public SearchSettings {
    if (!(keep > 0 && keep <= 1)) {
      throw new IllegalArgumentException(
          "the share to keep must be above 0 and at most 1, got " + keep);
    }
    if (budget.isPresent() && budget.getAsLong() < 1) {
      throw new IllegalArgumentException(
          "the budget must be at least 1 parameter, got " + budget.getAsLong());
    }
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

  /** The parameters to keep at most, of a supernet's. */
  long budgetOf(long supernet) {
    return budget.orElse((long) Math.floor(keep * supernet));
  }

  public SearchSettings withBudget(long value) {
    return new SearchSettings(
        keep,
        OptionalLong.of(value),
        strategy,
        warmUp,
        warmUpExamples,
        warmUpEpochs,
        rounds,
        roundExamples,
        roundEpochs,
        selection,
        weights,
        reinitialise,
        criteria);
  }

  public SearchSettings withKeep(double value) {
    return new SearchSettings(
        value,
        OptionalLong.empty(),
        strategy,
        warmUp,
        warmUpExamples,
        warmUpEpochs,
        rounds,
        roundExamples,
        roundEpochs,
        selection,
        weights,
        reinitialise,
        criteria);
  }

  public SearchSettings withStrategy(Strategy value) {
    return new SearchSettings(
        keep,
        budget,
        value,
        warmUp,
        warmUpExamples,
        warmUpEpochs,
        rounds,
        roundExamples,
        roundEpochs,
        selection,
        weights,
        reinitialise,
        criteria);
  }

  public SearchSettings withFidelity(int warmUpExamplesValue, int roundExamplesValue) {
    return new SearchSettings(
        keep,
        budget,
        strategy,
        warmUp,
        warmUpExamplesValue,
        warmUpEpochs,
        rounds,
        roundExamplesValue,
        roundEpochs,
        selection,
        weights,
        reinitialise,
        criteria);
  }
}
