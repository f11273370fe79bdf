package org.prunepeft.search.peer;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.ScoreOrder;
import org.prunepeft.search.SearchSpace;

/**
 * Differentiable gates: the supernet is trained with a gate on each module, and the modules whose
 * gates are the most likely to be open are kept; the idea of S3Delta (Hu and others, 2022, arXiv
 * 2206.07382).
 *
 * <p>Left out of it: gates and modules are trained in the same steps on the same examples, not in
 * turn on two halves of them (bi-level optimisation); the share of the budget is held by a shift of
 * all logits; and there are the modules of this library's supernet, not LayerNorm and bias updates
 * as well.
 *
 * @param learningRate of the gates, above 0
 * @param seed of the noise, and between equal gates
 */
public record GateSearch(double learningRate, long seed) implements PeerSearch {
  /** The method's name. */
  public static final String NAME = "gates";

  /**
   * @throws IllegalArgumentException if the learning rate is out of its range
   */
  public GateSearch {
    GateTraining.requireRate(learningRate);
  }

  @Override
  public PeerResult run(SearchSpace space, long budget, PeerTrainer trainer) {
    GateTraining gates = new GateTraining(space, budget, learningRate, seed);
    trainer.gates(gates);
    double[] open = gates.probabilities();
    Map<String, Double> scores = new LinkedHashMap<>();
    for (Candidate module : space.candidates()) {
      scores.put(module.name(), open[scores.size()]);
    }
    List<Candidate> kept = ScoreOrder.keep(space, budget, scores, seed);
    return new PeerResult(
        NAME, budget, trainer.effort(), PeerResult.scored(space, scores, kept), List.of());
  }
}
