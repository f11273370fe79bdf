package org.prunepeft.cli;

import java.io.IOException;

/** Nobody reads the standard output any more, such as {@code head} that has its lines. */
final class ClosedPipeException extends IOException {
  private static final long serialVersionUID = 1;

  ClosedPipeException() {
    super("nobody reads the standard output any more");
  }
}
