package org.prunepeft.peft.type;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;

/**
 * AdaLoRA in a training: P and Q are drawn towards orthogonal matrices, and ranks are shared out.
 */
final class AdaLoraTraining implements TrainingHook {
  private final FlatParameters parameters;
  private final List<AdaLora.Triplet> triplets;
  private final double weight;

  /** Null: ranks stay, since what the budget leaves of modules would blur how they are judged. */
  private final RankAllocator ranks;

  AdaLoraTraining(
      FlatParameters parameters,
      List<AdaLora.Triplet> triplets,
      AdaLoraConfig config,
      int steps,
      boolean judged) {
    this.parameters = parameters;
    this.triplets = triplets;
    weight = config.orthRegWeight();
    ranks = judged ? null : new RankAllocator(parameters, triplets, config.withTotalStep(steps));
  }

  /** The weighted distance of Q and P from orthogonal matrices. */
  @Override
  public Tensor penalty() {
    return distance(
            triplets.stream().map(triplet -> parameters.get(triplet.q())).toList(),
            triplets.stream().map(triplet -> parameters.get(triplet.p())).toList())
        .mul(new Scalar(weight));
  }

  @Override
  public void beforeStep(int step) {
    if (ranks != null) {
      ranks.observe(step);
    }
  }

  @Override
  public void afterStep(int step) {
    if (ranks != null) {
      ranks.allocate(step);
    }
  }

  /** Before the last choice there are more singular values than the budget allows. */
  @Override
  public boolean settled(int step) {
    return ranks == null || ranks.settled(step);
  }

  @Override
  public void exchange(StateExchange state) {
    if (ranks != null) {
      ranks.exchange(state);
    }
  }

  @Override
  public void close() {
    if (ranks != null) {
      ranks.close();
    }
  }

  /**
   * How far updates are from orthogonal, as PEFT measures it: the mean of ‖Q·Qᵀ − I‖ and ‖Pᵀ·P − I‖
   * over all of them, Frobenius norms. Part of the autograd graph.
   *
   * @param q Q of each
   * @param p P of each
   */
  private static Tensor distance(List<Tensor> q, List<Tensor> p) {
    Tensor sum = null;
    for (int i = 0; i < q.size(); i++) {
      Tensor both =
          distance(q.get(i).matmul(q.get(i).t())).add(distance(p.get(i).t().matmul(p.get(i))));
      sum = sum == null ? both : sum.add(both);
    }
    return sum.div(new Scalar(2.0 * q.size()));
  }

  /** ‖G − I‖. */
  private static Tensor distance(Tensor gram) {
    return gram.sub(torch.eye(gram.size(0), gram.options())).norm();
  }
}
