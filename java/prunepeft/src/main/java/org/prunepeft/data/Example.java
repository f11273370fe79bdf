package org.prunepeft.data;

import java.util.Objects;

/**
 * One labelled text.
 *
 * @param text the text, or the first of two
 * @param pair the second text; null for tasks of single texts
 * @param label number of the class, 0 or more
 */
public record Example(String text, String pair, int label) {
  /**
   * Checks the values.
   *
   * @throws NullPointerException if the text is null
   * @throws IllegalArgumentException if the label is negative
   */
  public Example {
    Objects.requireNonNull(text, "text");
    if (label < 0) {
      throw new IllegalArgumentException("label must be at least 0, got " + label);
    }
  }
}
