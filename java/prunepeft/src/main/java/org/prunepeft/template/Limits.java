package org.prunepeft.template;

/** What one rendering may take, so that no template runs for ever, fills memory or the stack. */
final class Limits {
  /** Evaluations, and characters and elements that these make. */
  private static final long WORK = 50_000_000;

  /** Characters of a text, or elements of a list. */
  static final int LENGTH = 10_000_000;

  /** Expressions, statements and values inside each other; 500 take some 200 KB of the stack. */
  static final int DEPTH = 500;

  private long work;
  private int depth;

  /** Takes work that is about to be done. */
  void spend(long units) {
    work += units;
    if (work > WORK) {
      throw new Failure("rendering takes more than %,d steps; is there an endless loop?", WORK);
    }
  }

  /** Takes the work of going through a value that is a text. */
  void spendReading(Object value) {
    if (value instanceof String text) {
      spend(text.length() / 16);
    }
  }

  /** Takes the work of making a text or list of this length. */
  void spendLength(long length) {
    requireLength(length);
    spend(length);
  }

  /** Makes a text longer, and takes the work of it. */
  void append(String part, StringBuilder to) {
    spend(part.length());
    requireLength((long) to.length() + part.length());
    to.append(part);
  }

  private static void requireLength(long length) {
    if (length > LENGTH) {
      throw new Failure("a text or list of more than %,d characters or elements", LENGTH);
    }
  }

  /** One level deeper; {@link #leave} goes back. */
  void enter() {
    spend(1);
    if (++depth > DEPTH) {
      throw new Failure(
          "more than %d calls, expressions or values inside each other; does a macro call itself without end?",
          DEPTH);
    }
  }

  void leave() {
    depth--;
  }
}
