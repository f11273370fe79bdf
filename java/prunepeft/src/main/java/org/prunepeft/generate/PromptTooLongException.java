package org.prunepeft.generate;

/** A prompt leaves a model no position for a token that follows it. */
public final class PromptTooLongException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  /** {@code message} is for the user: how many tokens there are, and how many there may be. */
  public PromptTooLongException(String message) {
    super(message);
  }
}
