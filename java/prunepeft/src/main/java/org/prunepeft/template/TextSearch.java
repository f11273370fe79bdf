package org.prunepeft.template;

/**
 * Finds parts of texts. It takes the work of each comparison, which can come to the product of both
 * lengths.
 */
final class TextSearch {
  private TextSearch() {}

  /** The index of a part's first occurrence, not before this index; -1 if there is none. */
  static int first(String text, String part, int from, Limits limits) {
    int last = text.length() - part.length();
    int at = from;
    while (at <= last && !isAt(text, part, at, limits)) {
      at++;
    }
    limits.spend((at - from) / 16);
    return at <= last ? at : -1;
  }

  /** The index of a part's last occurrence, not behind this index; -1 if there is none. */
  static int last(String text, String part, int from, Limits limits) {
    int begin = Math.min(from, text.length() - part.length());
    int at = begin;
    while (at >= 0 && !isAt(text, part, at, limits)) {
      at--;
    }
    limits.spend(Math.max(0, begin - at) / 16);
    return Math.max(at, -1);
  }

  private static boolean isAt(String text, String part, int at, Limits limits) {
    int same = 0;
    while (same < part.length() && text.charAt(at + same) == part.charAt(same)) {
      same++;
    }
    limits.spend(same);
    return same == part.length();
  }
}
