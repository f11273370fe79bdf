package org.prunepeft.io;

import java.io.IOException;

/** A file's content is not what its format allows. The message says what was found and where. */
public final class FormatException extends IOException {
  /**
   * With a message only.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   */
  public FormatException(String message) {
    super(message);
  }

  /**
   * With a message and what led to it.
   *
   * @param message for the user: names what is wrong, with its value, and the remedy where there is
   *     one
   * @param cause what led to it
   */
  public FormatException(String message, Throwable cause) {
    super(message, cause);
  }
}
