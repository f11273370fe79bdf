package org.prunepeft.text;

/** Texts within Markdown. */
public final class Markdown {
  private Markdown() {}

  /** {@return a text as a cell of a table: a cell ends at a bar, and a row at a line break} */
  public static String cell(String text) {
    return text.replaceAll("(\\\\*)\\|", "$1$1\\\\|").replaceAll("\\R", " ");
  }
}
