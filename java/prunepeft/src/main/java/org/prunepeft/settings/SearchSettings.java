package org.prunepeft.settings;

import java.util.List;
import java.util.OptionalLong;
import org.prunepeft.search.Criteria;
import org.prunepeft.search.Criterion;
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
 * @param warmUpCriteria that the warm-up chooses from, one or more, by their names in {@link
 *     Criteria}; more of them are more trainings
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
    List<String> warmUpCriteria,
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
  public static final SearchSettings DEFAULT = builder().build();

  /**
   * @param keep share of the supernet's trainable parameters to keep, in (0, 1]; ignored where
   *     there is a budget
   * @param budget trainable parameters to keep at most, the head apart
   * @param strategy which criteria judge which partition; null: a warm-up finds it
   * @param warmUp how the warm-up goes; its seed is the run's
   * @param warmUpCriteria that the warm-up chooses from, one or more, by their names in {@link
   *     Criteria}; more of them are more trainings
   * @param warmUpExamples it trains on, drawn with the labels' distribution
   * @param warmUpEpochs a turn
   * @param rounds of pruning
   * @param roundExamples a round trains on (low fidelity), drawn likewise
   * @param roundEpochs a round
   * @param selection over which modules the pruning probability is shared out
   * @param weights how the criteria of a partition are weighed
   * @param reinitialise whether each round starts from new weights
   * @param criteria what the criteria's definitions leave open
   * @throws IllegalArgumentException if a value is out of its range
   */
  public SearchSettings {
    new Budget(keep, budget);
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

  /** The parameters to keep at most, of a supernet's. */
  public long budgetOf(long supernet) {
    return new Budget(keep, budget).of(supernet);
  }

  /**
   * Begins with the defaults.
   *
   * @return a new builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Begins with these settings.
   *
   * @return a new builder
   */
  public Builder toBuilder() {
    Builder builder = new Builder();
    builder.keep = keep;
    builder.budget = budget;
    builder.strategy = strategy;
    builder.warmUp = warmUp;
    builder.warmUpCriteria = warmUpCriteria;
    builder.warmUpExamples = warmUpExamples;
    builder.warmUpEpochs = warmUpEpochs;
    builder.rounds = rounds;
    builder.roundExamples = roundExamples;
    builder.roundEpochs = roundEpochs;
    builder.selection = selection;
    builder.weights = weights;
    builder.reinitialise = reinitialise;
    builder.criteria = criteria;
    return builder;
  }

  /** Puts settings together; they are described at {@link SearchSettings}. */
  public static final class Builder {
    private double keep = 0.5;
    private OptionalLong budget = OptionalLong.empty();
    private Strategy strategy;
    private WarmUpSettings warmUp = WarmUpSettings.defaults();
    private List<String> warmUpCriteria = Criteria.six().stream().map(Criterion::name).toList();
    private int warmUpExamples = 128;
    private int warmUpEpochs = 3;
    private int rounds = PruningSettings.DEFAULT_ROUNDS;
    private int roundExamples = 1000;
    private int roundEpochs = 1;
    private PruningSettings.Selection selection = PruningSettings.Selection.HYBRID;
    private PruningSettings.Weights weights = PruningSettings.Weights.ALIKE;
    private boolean reinitialise = true;
    private CriterionSettings criteria = CriterionSettings.DEFAULT;

    private Builder() {}

    /**
     * @param value share of the supernet's trainable parameters to keep, in (0, 1]; ignored where
     *     there is a budget
     * @return this
     */
    public Builder keep(double value) {
      keep = value;
      return this;
    }

    /**
     * @param value trainable parameters to keep at most, the head apart
     * @return this
     */
    public Builder budget(long value) {
      budget = OptionalLong.of(value);
      return this;
    }

    /**
     * @param value which criteria judge which partition; null: a warm-up finds it
     * @return this
     */
    public Builder strategy(Strategy value) {
      strategy = value;
      return this;
    }

    /**
     * @param value how the warm-up goes; its seed is the run's
     * @return this
     */
    public Builder warmUp(WarmUpSettings value) {
      warmUp = value;
      return this;
    }

    /**
     * @param value that the warm-up chooses from, one or more, by their names in {@link Criteria};
     *     more of them are more trainings
     * @return this
     */
    public Builder warmUpCriteria(List<String> value) {
      warmUpCriteria = value;
      return this;
    }

    /**
     * @param value it trains on, drawn with the labels' distribution
     * @return this
     */
    public Builder warmUpExamples(int value) {
      warmUpExamples = value;
      return this;
    }

    /**
     * @param value a turn
     * @return this
     */
    public Builder warmUpEpochs(int value) {
      warmUpEpochs = value;
      return this;
    }

    /**
     * @param value of pruning
     * @return this
     */
    public Builder rounds(int value) {
      rounds = value;
      return this;
    }

    /**
     * @param value a round trains on (low fidelity), drawn likewise
     * @return this
     */
    public Builder roundExamples(int value) {
      roundExamples = value;
      return this;
    }

    /**
     * @param value a round
     * @return this
     */
    public Builder roundEpochs(int value) {
      roundEpochs = value;
      return this;
    }

    /**
     * @param value over which modules the pruning probability is shared out
     * @return this
     */
    public Builder selection(PruningSettings.Selection value) {
      selection = value;
      return this;
    }

    /**
     * @param value how the criteria of a partition are weighed
     * @return this
     */
    public Builder weights(PruningSettings.Weights value) {
      weights = value;
      return this;
    }

    /**
     * @param value whether each round starts from new weights
     * @return this
     */
    public Builder reinitialise(boolean value) {
      reinitialise = value;
      return this;
    }

    /**
     * @param value what the criteria's definitions leave open
     * @return this
     */
    public Builder criteria(CriterionSettings value) {
      criteria = value;
      return this;
    }

    /**
     * @return the settings
     * @throws IllegalArgumentException if a value is out of its range
     */
    public SearchSettings build() {
      return new SearchSettings(
          keep,
          budget,
          strategy,
          warmUp,
          warmUpCriteria,
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
  }
}
