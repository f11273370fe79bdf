package org.prunepeft.io;

/**
 * The files of a run's directory are not what the run wrote: one was changed, cut short or is gone.
 * To read them again gives the same, unlike after an error of the disk or of permissions.
 */
public final class DamagedRunException extends RunDirectoryException {
  /** {@code message} is for the user: what is wrong, with its value, and the remedy if any. */
  public DamagedRunException(String message) {
    super(message);
  }

  /** The same, with what led to it. */
  public DamagedRunException(String message, Throwable cause) {
    super(message, cause);
  }
}
