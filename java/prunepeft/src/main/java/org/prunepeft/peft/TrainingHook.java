package org.prunepeft.peft;

import org.bytedeco.pytorch.Tensor;

/**
 * What the modules of a kind do in a training beside their forward passes, such as a change of
 * their ranks. Made by {@link ModuleType#trainingHook} for each training.
 */
public interface TrainingHook extends AutoCloseable {
  /**
   * {@return what is added to the loss of each pass, a part of the autograd graph; null: nothing}
   */
  default Tensor penalty() {
    return null;
  }

  /**
   * Called when a step's gradients are there, before the optimiser changes the weights.
   *
   * @param step from 1
   */
  default void beforeStep(int step) {}

  /**
   * Called when the optimiser has changed the weights.
   *
   * @param step from 1
   */
  default void afterStep(int step) {}

  /**
   * {@return whether the weights after a step may be the training's result}
   *
   * @param step from 1
   */
  default boolean settled(int step) {
    return true;
  }

  /** Frees what it has allocated. */
  @Override
  default void close() {}
}
