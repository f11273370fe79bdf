package org.prunepeft.search;

/** A score or a measurement that is NaN or infinite, as after a training that diverged. */
public final class NotFiniteException extends ArithmeticException {
  private static final long serialVersionUID = 1;

  /**
   * Says which.
   *
   * @param message for the user
   */
  public NotFiniteException(String message) {
    super(message);
  }
}
