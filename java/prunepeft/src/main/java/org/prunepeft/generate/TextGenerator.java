package org.prunepeft.generate;

import java.util.List;

/** A language model that writes texts. */
public interface TextGenerator extends AutoCloseable {
  /**
   * {@return what the model writes after prompts, in their order}
   *
   * @param prompts one or more; as one batch
   * @param settings how it goes on
   * @param listener reads along; may be called by another thread
   * @throws PromptTooLongException if a prompt leaves the model no position for what follows
   * @throws IllegalArgumentException if a prompt has no token, or the model writes none
   * @throws IllegalStateException if the model is closed, or gives a logit that is not finite
   */
  List<Generation> generate(
      List<String> prompts, GenerationSettings settings, GenerationListener listener);

  @Override
  void close();
}
