package org.prunepeft.train;

import java.util.Locale;

/** What becomes of a language model's text that has more tokens than {@code maxLength}. */
public enum TooLong {
  /** It ends there, and is counted. */
  CUT,
  /** It is an error that names its row, its tokens and the limit. */
  REFUSE;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
