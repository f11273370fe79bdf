package org.prunepeft.data.batch;

import java.util.List;

/**
 * A character, an anchor or a group of a regular expression, and how often.
 *
 * @param kind what it is
 * @param alternatives of a group
 * @param once ways to match it once, of what is no group
 * @param least times
 * @param times how many numbers of times there are from the least to the most; may be infinite
 */
record PatternElement(
    Kind kind, List<List<PatternElement>> alternatives, double once, int least, double times) {

  /** What it is. */
  enum Kind {
    CHARACTER,
    /** It takes no character. */
    ANCHOR,
    GROUP,
    /** A group that takes no character. */
    LOOKS_AHEAD,
    LOOKS_BEHIND
  }

  static PatternElement of(Kind kind, double ways) {
    return new PatternElement(kind, List.of(), ways, 1, 1);
  }

  static PatternElement group(Kind kind, List<List<PatternElement>> alternatives) {
    return new PatternElement(kind, alternatives, 0, 1, 1);
  }

  PatternElement repeated(int least, double times) {
    return new PatternElement(kind, alternatives, once, least, times);
  }

  boolean isGroup() {
    return kind == Kind.GROUP || looksAround();
  }

  boolean looksAround() {
    return kind == Kind.LOOKS_AHEAD || kind == Kind.LOOKS_BEHIND;
  }

  /** Whether it takes a character, whatever the text is. */
  boolean takes() {
    return kind == Kind.CHARACTER && least > 0;
  }

  /** Whether there are texts on which it fails, so that ways before it are tried anew. */
  boolean mayFail() {
    return least > 0
        && (kind != Kind.GROUP
            || alternatives.stream()
                .allMatch(one -> one.stream().anyMatch(PatternElement::mayFail)));
  }
}
