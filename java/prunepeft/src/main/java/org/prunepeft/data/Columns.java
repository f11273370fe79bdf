package org.prunepeft.data;

import java.util.ArrayList;
import java.util.List;
import org.prunepeft.text.Required;

/**
 * Which columns of a file make an example: their names, or their numbers from 1. A name goes before
 * a number. Objects of JSON Lines have members for columns, by name only.
 *
 * @param text the text, or the first of two
 * @param pair the second text; null for single texts
 * @param label what is to be predicted
 * @param header whether the first line of a table names its columns; without, they have numbers
 */
public record Columns(String text, String pair, String label, boolean header) {
  /** A text and its label, by the names that are most common on Hugging Face's hub. */
  public static final Columns DEFAULT = new Columns("text", null, "label", true);

  /**
   * Checks that columns are named.
   *
   * @throws IllegalArgumentException if one of them is named twice
   */
  public Columns {
    Required.present("the text's column", text);
    Required.present("the label's column", label);
    if (text.equals(label) || label.equals(pair) || text.equals(pair)) {
      throw new IllegalArgumentException(
          "texts and label must be different columns, got %s, %s and %s"
              .formatted(text, pair == null ? "no second text" : pair, label));
    }
  }

  /** {@return texts of an example, 1 or 2} */
  public int texts() {
    return pair == null ? 1 : 2;
  }

  /**
   * {@return text, pair if there is one, label if it is wanted}
   *
   * @param labelled whether the label is wanted
   */
  public List<String> names(boolean labelled) {
    List<String> names = new ArrayList<>(List.of(text));
    if (pair != null) {
      names.add(pair);
    }
    if (labelled) {
      names.add(label);
    }
    return names;
  }
}
