package org.prunepeft.io;

/**
 * A file that comes with the program can't be had. The message is for the user, with the remedy.
 */
public final class AssetException extends RuntimeException {
  /** {@code message} is for the user: what is wrong, with its value, and the remedy if any. */
  public AssetException(String message) {
    super(message);
  }

  /** The same, with what led to it. */
  public AssetException(String message, Throwable cause) {
    super(message, cause);
  }
}
