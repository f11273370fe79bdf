package org.prunepeft.template;

/** A template is not understood, can't be rendered with what it was given, or refuses it. */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Characters of a message; it may name a value, and a value may have millions. */
  private static final int LONGEST = 1000;

  TemplateException(int line, String message) {
    super("template line %d: %s".formatted(line, shortened(message)));
  }

  private static String shortened(String message) {
    return message.length() <= LONGEST ? message : message.substring(0, LONGEST) + "...";
  }
}
