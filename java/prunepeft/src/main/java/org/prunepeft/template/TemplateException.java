package org.prunepeft.template;

/** A template is not understood, can't be rendered with what it was given, or refuses it. */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int line;

  TemplateException(int line, String message) {
    super("template line %d: %s".formatted(line, message));
    this.line = line;
  }

  /** {@return the template's line, from 1} */
  public int line() {
    return line;
  }
}
