package org.prunepeft.io;

import java.io.IOException;

/** A file's content is not what its format allows. The message says what was found and where. */
public final class FormatException extends IOException {
  /** {@code message} is for the user: what is wrong, with its value, and the remedy if any. */
  public FormatException(String message) {
    super(message);
  }

  /** The same, with what led to it. */
  public FormatException(String message, Throwable cause) {
    super(message, cause);
  }
}
