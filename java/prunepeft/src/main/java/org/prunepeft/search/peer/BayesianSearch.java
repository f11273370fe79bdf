package org.prunepeft.search.peer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.measured.Knapsack;

/**
 * Bayesian search: subsets within the budget are trained for real, for a few epochs; from their
 * metrics a surrogate learns what each module is worth and proposes the next, the best by a draw of
 * these values (Thompson sampling), in which no module is of a negative one; the best subset that
 * was trained is kept. The search ends early when the surrogate has no other to propose. The idea
 * of AutoPEFT (Zhou and others, 2024, arXiv 2301.12132).
 *
 * <p>Left out of it: the surrogate is a linear model of which modules there are, not a Gaussian
 * process with a sparse prior; one metric is improved within one budget, not a front of metric and
 * size; sizes of modules are not searched; and a trial is not stopped before its epochs are over,
 * unless the training's own early stopping does.
 *
 * @param trials that are trained at most, 1 or more
 * @param patience the search ends when so many trials in a row are no better than the best before;
 *     0: never
 * @param seed of the draws
 */
public record BayesianSearch(int trials, int patience, long seed) implements PeerSearch {
  /** The method's name. */
  public static final String NAME = "bayesian";

  /** Where so many draws in a row give subsets that were trained, the surrogate is sure of them. */
  private static final int DRAWS = 100;

  /**
   * @throws IllegalArgumentException if a value is out of its range
   */
  public BayesianSearch {
    if (trials < 1) {
      throw new IllegalArgumentException("trials must be at least 1, got " + trials);
    }
    if (patience < 0) {
      throw new IllegalArgumentException(
          "the patience in trials must be at least 0, got " + patience);
    }
  }

  @Override
  public PeerResult run(SearchSpace space, long budget, PeerTrainer trainer) {
    space.requireBudget(budget);
    Random random = new Random(seed);
    List<List<Candidate>> subsets = new ArrayList<>();
    List<PeerResult.Trial> measured = new ArrayList<>();
    int best = 0;
    ModuleValues values = ModuleValues.of(space, budget, measured);
    while (measured.size() < trials && (patience == 0 || measured.size() - best <= patience)) {
      List<Candidate> subset = propose(space, budget, values, subsets, random);
      if (subset == null) {
        break;
      }
      subsets.add(subset);
      measured.add(trainer.validated(subset));
      int last = measured.size() - 1;
      best = isBetter(measured.get(last), measured.get(best)) ? last : best;
      values = ModuleValues.of(space, budget, measured);
    }
    return new PeerResult(
        NAME,
        budget,
        trainer.effort(),
        PeerResult.scored(space, named(space, values.mean()), subsets.get(best)),
        measured);
  }

  /** Of equal metrics one that was measured goes before the head's, which a diverged trial has. */
  private static boolean isBetter(PeerResult.Trial trial, PeerResult.Trial than) {
    return trial.metric() > than.metric()
        || trial.metric() == than.metric() && trial.diverged() == null && than.diverged() != null;
  }

  /** Null: none that was not trained is found. */
  private List<Candidate> propose(
      SearchSpace space,
      long budget,
      ModuleValues values,
      List<List<Candidate>> known,
      Random random) {
    for (int i = 0; i < DRAWS; i++) {
      List<Candidate> subset = Knapsack.best(space, values.draw(random), budget);
      if (!subset.isEmpty() && !known.contains(subset)) {
        return subset;
      }
    }
    return null;
  }

  private static Map<String, Double> named(SearchSpace space, double[] values) {
    Map<String, Double> named = new LinkedHashMap<>();
    space.candidates().forEach(module -> named.put(module.name(), values[named.size()]));
    return named;
  }
}
