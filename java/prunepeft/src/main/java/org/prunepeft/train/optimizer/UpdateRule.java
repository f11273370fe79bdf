package org.prunepeft.train.optimizer;

import org.prunepeft.torch.StateExchange;

/**
 * Updates one group's weights from its gradients; holds what the rule remembers of earlier steps.
 */
interface UpdateRule extends AutoCloseable {
  /**
   * One step. Gradients are left as they are, or hold no meaning afterwards.
   *
   * @param learningRate of this step
   */
  void update(double learningRate);

  /** Gives what it remembers to a checkpoint, or takes it from one. */
  void exchange(StateExchange state);

  @Override
  void close();
}
