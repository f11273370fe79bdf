package org.prunepeft.io;

import java.io.IOException;

/** A file's content is not what its format allows. The message says what was found and where. */
public final class FormatException extends IOException {
  public FormatException(String message) {
    super(message);
  }

  public FormatException(String message, Throwable cause) {
    super(message, cause);
  }
}
