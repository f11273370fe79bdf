package org.prunepeft.search;

import java.util.Comparator;
import java.util.List;
import java.util.Map;

/** Keeps the modules of the highest scores: the choice where each module has one score. */
public final class ScoreOrder {
  private ScoreOrder() {}

  /**
   * Takes modules by falling score, each that still fits the budget.
   *
   * @param space all modules that there are
   * @param budget trainable parameters that may be left
   * @param scores of all modules of the space, by their names
   * @param seed decides between equal scores, together with the modules' names
   * @return the modules kept, sorted by layer, type and name
   * @throws IllegalArgumentException if the budget is out of range ({@link
   *     SearchSpace#requireBudget}), or a module has no score
   * @throws ArithmeticException if a score is not a number
   */
  public static List<Candidate> keep(
      SearchSpace space, long budget, Map<String, Double> scores, long seed) {
    space.requireBudget(budget);
    space.candidates().forEach(module -> require(module, scores.get(module.name())));
    List<Candidate> order =
        space.candidates().stream()
            .sorted(
                Comparator.comparingDouble((Candidate module) -> scores.get(module.name()))
                    .thenComparing(SeededHash.order(seed))
                    .reversed())
            .toList();
    return BudgetFill.take(order, budget);
  }

  private static void require(Candidate module, Double score) {
    if (score == null) {
      throw new IllegalArgumentException("each module needs a score, got none of " + module.name());
    }
    if (score.isNaN()) {
      throw new NotFiniteException("the score of " + module.name() + " is not a number");
    }
  }
}
