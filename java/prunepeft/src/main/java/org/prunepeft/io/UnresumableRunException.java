package org.prunepeft.io;

/**
 * A run that was cut off can't be resumed: none of its checkpoints is whole, another version of
 * PrunePEFT wrote them, nothing says what it began with, or its settings, data, model or machine
 * are others than those. The same run, begun anew, is possible.
 */
public final class UnresumableRunException extends RunDirectoryException {
  /** {@code message} is for the user: what is wrong, with its value, and the remedy. */
  public UnresumableRunException(String message) {
    super(message);
  }
}
