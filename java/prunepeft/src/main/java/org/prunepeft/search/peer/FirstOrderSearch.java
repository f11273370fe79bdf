package org.prunepeft.search.peer;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.NotFiniteException;
import org.prunepeft.search.Observation;
import org.prunepeft.search.ScoreOrder;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.TrainingHealth;

/**
 * First-order pruning at once: after one short training of the supernet a module's score is |Σ w·g|
 * over all of its weights w, by which the loss would change to first order if it went (Taylor), g
 * the gradients summed over the training's steps; the highest that fit the budget stay. The idea of
 * S-MaM, structured pruning of a mix-and-match adapter (Lawton and others, 2023, arXiv 2305.16597).
 *
 * <p>Left out of it: that method removes rows and columns within modules, of bias updates too, and
 * starts pruned LoRA from other weights; here a module goes as a whole, and what is kept is trained
 * from new weights. Scores of LoRA modules and adapters are compared as they are.
 *
 * @param seed decides between equal scores
 */
public record FirstOrderSearch(long seed) implements PeerSearch {
  /** The method's name. */
  public static final String NAME = "first-order";

  /**
   * {@inheritDoc}
   *
   * @throws ArithmeticException if what the training gave is NaN or infinite
   */
  @Override
  public PeerResult run(SearchSpace space, long budget, PeerTrainer trainer) {
    Observation observation = trainer.supernet(space.candidates());
    if (observation.diverged()) {
      throw new NotFiniteException(
          "the supernet's training diverged (%s), so that its gradients say nothing; lower the learning rates"
              .formatted(
                  observation
                      .health()
                      .flatMap(TrainingHealth::divergence)
                      .orElse("its reason was not kept")));
    }
    Map<String, Double> scores = new LinkedHashMap<>();
    for (Candidate module : space.candidates()) {
      scores.put(module.name(), Math.abs(observation.whole().get(module.name()).sumWg()));
    }
    List<Candidate> kept = ScoreOrder.keep(space, budget, scores, seed);
    return new PeerResult(
        NAME, budget, trainer.effort(), PeerResult.scored(space, scores, kept), List.of());
  }
}
