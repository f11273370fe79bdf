package org.prunepeft.search;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The modules of the supernet, all of which may be pruned.
 *
 * @param layers how many transformer layers the model has, at least 1
 * @param candidates the modules, sorted by layer, type and name whatever order they are given in
 */
public record SearchSpace(int layers, List<Candidate> candidates) {
  /**
   * @throws IllegalArgumentException if there is no module, a name occurs twice or a layer is out
   *     of range
   */
  public SearchSpace {
    if (layers < 1) {
      throw new IllegalArgumentException("a model must have at least 1 layer, got " + layers);
    }
    if (candidates.isEmpty()) {
      throw new IllegalArgumentException("a search space must hold at least one module, got none");
    }
    Set<String> names = new HashSet<>();
    for (Candidate candidate : candidates) {
      if (!names.add(candidate.name())) {
        throw new IllegalArgumentException(
            "module names must be unique, got " + candidate.name() + " twice");
      }
      if (candidate.layer() >= layers) {
        throw new IllegalArgumentException(
            "layer must be below the model's "
                + layers
                + ", got "
                + candidate.layer()
                + " (module "
                + candidate.name()
                + ")");
      }
    }
    candidates = candidates.stream().sorted(Candidate.CANONICAL).toList();
    Candidate.total(candidates);
  }

  /** {@return the trainable parameters of the whole supernet, the task head apart} */
  public long totalParameters() {
    return Candidate.total(candidates);
  }

  /** {@return the types of module that occur, sorted} */
  public List<String> types() {
    return candidates.stream().map(Candidate::type).distinct().sorted().toList();
  }

  /**
   * Checks that pruning can end within a budget.
   *
   * @param budget trainable parameters that may be left
   * @throws IllegalArgumentException if it is not positive, less than the smallest module has, or
   *     more than the supernet has
   */
  public void requireBudget(long budget) {
    PruningSettings.requirePositiveBudget(budget);
    if (budget > totalParameters()) {
      throw new IllegalArgumentException(
          "the budget must be at most the supernet's "
              + totalParameters()
              + " parameters, got "
              + budget);
    }
    long smallest = candidates.stream().mapToLong(Candidate::parameters).min().orElseThrow();
    if (budget < smallest) {
      throw new IllegalArgumentException(
          "the budget must leave room for one module, the smallest of which has "
              + smallest
              + " parameters, got "
              + budget);
    }
  }
}
