package org.prunepeft.io;

/**
 * A run's directory can't be made, written or read. The message is for the user: it names the path
 * and the cause, and the remedy where there is one.
 */
public final class RunDirectoryException extends RuntimeException {
  /**
   * With a message only.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   */
  public RunDirectoryException(String message) {
    super(message);
  }

  /**
   * With a message and what led to it.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   * @param cause what led to it
   */
  public RunDirectoryException(String message, Throwable cause) {
    super(message, cause);
  }
}
