package org.prunepeft.peft;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.StateExchange;

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
   * {@return what of a step's gradients that the hook has beside those of the modules' weights is
   * NaN or infinite, such as "gradient of x is NaN"; empty: nothing} Asked when they are there. The
   * step is left out, or ends the training.
   */
  default Optional<String> nonFinite() {
    return Optional.empty();
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

  /** Called where a step is left out, whose gradients are not finite; no weight has changed. */
  default void skipped() {}

  /**
   * {@return whether the weights after a step may be the training's result}
   *
   * @param step from 1
   */
  default boolean settled(int step) {
    return true;
  }

  /**
   * Gives what it remembers from step to step to a checkpoint, or takes it from one; the weights
   * are kept without it. A training that is resumed has the weights' bits of one that was not cut
   * off only if all of it goes through here.
   *
   * @param state of this hook alone
   */
  default void exchange(StateExchange state) {}

  /** Frees what it has allocated. */
  @Override
  default void close() {}
}
