package org.prunepeft.data;

/** Data is missing or damaged. The message names it and says what to do. */
public class DataException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * With a message only.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   */
  public DataException(String message) {
    super(message);
  }

  /**
   * With a message and what led to it.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   * @param cause what led to it
   */
  public DataException(String message, Throwable cause) {
    super(message, cause);
  }
}
