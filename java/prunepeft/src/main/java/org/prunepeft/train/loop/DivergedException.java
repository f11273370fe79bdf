package org.prunepeft.train.loop;

/** A loss that is no number, or infinite. */
final class DivergedException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  DivergedException(String message) {
    super(message);
  }
}
