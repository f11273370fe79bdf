package org.prunepeft.search;

import java.util.List;
import java.util.Locale;

/** Messages about a name that is not known, with the nearest of those that are. */
public final class Spelling {
  private Spelling() {}

  /**
   * A message such as {@code unknown criterion 'zeroes'; did you mean zeros? Known are weight,
   * zeros, ...}
   *
   * @param what the kind of thing that is named
   * @param name the name that is not known
   * @param known the names that are
   */
  public static String unknown(String what, String name, List<String> known) {
    String nearest = nearest(name, known);
    return "unknown "
        + what
        + " '"
        + name
        + "'; "
        + (nearest == null ? "known are " : "did you mean " + nearest + "? Known are ")
        + String.join(", ", known);
  }

  /**
   * The known name with the fewest edits, or null if all differ in more than half their letters.
   */
  private static String nearest(String name, List<String> known) {
    String best = null;
    int fewest = Integer.MAX_VALUE;
    for (String candidate : known) {
      int edits = edits(name.toLowerCase(Locale.ROOT), candidate);
      if (edits < fewest && 2 * edits <= Math.max(name.length(), candidate.length())) {
        fewest = edits;
        best = candidate;
      }
    }
    return best;
  }

  /** Levenshtein distance. */
  private static int edits(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substituted, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
