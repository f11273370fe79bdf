package org.prunepeft.text;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** Messages about a name that is not known, with the nearest of those that are. */
public final class Spelling {
  private Spelling() {}

  /**
   * {@return "unknown criterion 'zeroes'; did you mean zeros? Known are weight, zeros, ..."}
   *
   * @param what kind of thing has the name
   * @param name that is not known
   * @param known all names that there are, in the order in which they are listed
   */
  public static String unknown(String what, String name, Collection<String> known) {
    return "unknown %s '%s'; %s %s"
        .formatted(
            what,
            name,
            nearest(name, known)
                .map(nearest -> "did you mean " + nearest + "? Known are")
                .orElse("known are"),
            String.join(", ", known));
  }

  /**
   * {@return the known name with the fewest edits, the first of several; empty if each differs in
   * more than half the letters of the longer name} Upper and lower case are alike.
   *
   * @param name that is not known
   * @param known all names that there are
   */
  public static Optional<String> nearest(String name, Collection<String> known) {
    return nearest(name, known, 2);
  }

  /**
   * {@return the known name with the fewest edits, the first of several; empty if each differs in
   * more than a part of the letters of the longer name} Upper and lower case are alike.
   *
   * @param name that is not known
   * @param known all names that there are
   * @param part which part: 2 is a half, 3 a third
   */
  public static Optional<String> nearest(String name, Collection<String> known, int part) {
    String best = null;
    int fewest = Integer.MAX_VALUE;
    for (String candidate : known) {
      int longer = Math.max(name.length(), candidate.length());
      // So many letters have to go or come; without this a name of megabytes takes minutes.
      if (part * Math.abs(name.length() - candidate.length()) > longer) {
        continue;
      }
      int edits = edits(name.toLowerCase(Locale.ROOT), candidate.toLowerCase(Locale.ROOT));
      if (edits < fewest && part * edits <= longer) {
        fewest = edits;
        best = candidate;
      }
    }
    return Optional.ofNullable(best);
  }

  /** Levenshtein's distance: insertions, deletions and replacements of a character. */
  private static int edits(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
