package org.prunepeft.io;

/**
 * A file that comes with the program can't be had. The message is for the user, with the remedy.
 */
public final class AssetException extends RuntimeException {
  /**
   * With a message only.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   */
  public AssetException(String message) {
    super(message);
  }

  /**
   * With a message and what led to it.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   * @param cause what led to it
   */
  public AssetException(String message, Throwable cause) {
    super(message, cause);
  }
}
