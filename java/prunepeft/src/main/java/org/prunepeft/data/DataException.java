package org.prunepeft.data;

import java.io.IOException;
import org.prunepeft.io.FormatException;
import org.prunepeft.text.Reason;

/** Data is missing or damaged. The message names it and says what to do. */
public class DataException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** {@code message} is for the user: what is wrong, with its value, and the remedy if any. */
  public DataException(String message) {
    super(message);
  }

  /** The same, with what led to it. */
  public DataException(String message, Throwable cause) {
    super(message, cause);
  }

  /** Of a file that is called so: what is wrong with its format, or why it can't be read. */
  public static DataException unreadable(String name, IOException e) {
    return new DataException(
        e instanceof FormatException
            ? e.getMessage()
            : "can't read %s: %s".formatted(name, Reason.of(name, e)),
        e);
  }
}
