package org.prunepeft.io;

/**
 * A file that comes with the program can't be had. The message is for the user, with the remedy.
 */
public final class AssetException extends RuntimeException {
  public AssetException(String message) {
    super(message);
  }

  public AssetException(String message, Throwable cause) {
    super(message, cause);
  }
}
