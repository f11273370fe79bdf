package org.prunepeft.template;

/** What is wrong, before it is known in which line. */
final class Failure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  Failure(String message, Object... arguments) {
    super(arguments.length == 0 ? message : message.formatted(arguments), null, false, false);
  }
}
