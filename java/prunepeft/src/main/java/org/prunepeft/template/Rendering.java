package org.prunepeft.template;

import java.util.List;

/**
 * What a template wrote.
 *
 * @param text all of it
 * @param generated what its {@code generation} blocks wrote, in order; empty if it has none, or if
 *     they stand inside of a macro or another block whose text goes through the template's hands
 */
public record Rendering(String text, List<Range> generated) {
  /** Copies the list. */
  public Rendering {
    generated = List.copyOf(generated);
  }

  /**
   * A part of the text.
   *
   * @param from index of its first character (UTF-16, as in {@link String})
   * @param to index after its last
   */
  public record Range(int from, int to) {}
}
