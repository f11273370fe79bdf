package org.prunepeft.io;

/**
 * A run's directory can't be made, written or read. The message is for the user: it names the path
 * and the cause, and the remedy where there is one.
 */
public final class RunDirectoryException extends RuntimeException {
  public RunDirectoryException(String message) {
    super(message);
  }

  public RunDirectoryException(String message, Throwable cause) {
    super(message, cause);
  }
}
