package org.prunepeft.io;

/**
 * A run's directory can't be made, written or read. The message is for the user: it names the path
 * and the cause, and the remedy where there is one.
 */
public class RunDirectoryException extends RuntimeException {
  /** {@code message} is for the user: what is wrong, with its value, and the remedy if any. */
  public RunDirectoryException(String message) {
    super(message);
  }

  /** The same, with what led to it. */
  public RunDirectoryException(String message, Throwable cause) {
    super(message, cause);
  }
}
