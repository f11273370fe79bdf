package org.prunepeft.data.batch;

import java.util.List;
import java.util.Locale;

/**
 * The pattern of a tokenizer.json by which texts are split or replaced: a text, or a regular
 * expression in Oniguruma's syntax. That tries one way after the other, and where it has gone back
 * ten million times at one place of a text, the library panics, which ends the process. So only
 * what is sure to be read as Oniguruma reads it is taken ({@link PatternReader}), and the ways are
 * counted beforehand ({@link #ways}), in the longest text that a tokenizer may be given.
 */
final class TokenizerPattern {
  /** Characters of a text that a tokenizer is given. */
  static final int LONGEST_TEXT = 1_000_000;

  /** Ways from one place of a text; Oniguruma tries 10,000,000 (retry-limit-in-match). */
  private static final double MOST_WAYS = 8e6;

  /** Of a text as short as most are, so that it does not take minutes. */
  private static final double SHORT_TEXT = 1000;

  private static final double MOST_WAYS_OF_SHORT = 8000;

  private static final int LONGEST = 2000;

  private static final String SHORTER_TEXTS =
      ", or take a smaller maximum length, so that texts are shorter";

  private final TokenizerPart part;
  private final List<List<PatternElement>> alternatives;

  private TokenizerPattern(TokenizerPart part) {
    this.part = part;
    alternatives = PatternReader.read(part.path(), part.text(LONGEST));
  }

  /**
   * Checks {"String": ...} or {"Regex": ...} of a split.
   *
   * @param longest characters of the longest text that is split
   */
  static void check(TokenizerPart pattern, long longest) {
    check(pattern, longest, false, SHORTER_TEXTS);
  }

  /** Checks the same of a replacement: what matches no character puts the library out of step. */
  static void checkReplaced(TokenizerPart pattern, long longest) {
    check(pattern, longest, true, SHORTER_TEXTS);
  }

  /** Checks the same of a decoder's replacement, whose texts no maximum length makes shorter. */
  static void checkDecoded(TokenizerPart pattern, long longest) {
    check(pattern, longest, true, "");
  }

  private static void check(
      TokenizerPart pattern, long longest, boolean replaced, String otherRemedy) {
    if (pattern.json().size() != 1) {
      throw pattern.wrong("an object with String or Regex");
    }
    if (!pattern.json().has("String")) {
      new TokenizerPattern(pattern.get("Regex")).check(longest, replaced, otherRemedy);
    } else if (pattern.get("String").text(LONGEST).isEmpty() && replaced) {
      throw pattern.get("String").wrong("a text with a character");
    }
  }

  /**
   * @param replaced whether each alternative must take a character, outside of its groups
   * @param otherRemedy than another expression, where a long text has too many ways
   */
  private void check(long longest, boolean replaced, String otherRemedy) {
    if (replaced
        && !alternatives.stream().allMatch(one -> one.stream().anyMatch(PatternElement::takes))) {
      throw new IllegalArgumentException(
          part.path()
              + " may match where there is no character, which is not taken: let each alternative"
              + " take one, such as by + for *");
    }
    requireFewWays(SHORT_TEXT, MOST_WAYS_OF_SHORT, "");
    requireFewWays(longest, MOST_WAYS, otherRemedy);
  }

  private void requireFewWays(double longest, double most, String otherRemedy) {
    double ways = ways(alternatives, longest);
    if (ways > most) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s has some %.0e ways to match at one place of a text of %,.0f characters, which is"
                  + " not taken: the most is %.0e; write it with fewer repetitions or"
                  + " alternatives%s",
              part.path(),
              ways,
              longest,
              most,
              otherRemedy));
    }
  }

  /**
   * How often Oniguruma may go back at one place of a text, at most.
   *
   * @param longest characters of the text
   */
  static double ways(List<List<PatternElement>> alternatives, double longest) {
    return ways(alternatives, false, longest);
  }

  /**
   * The ways that may be tried from one place. Of a sequence they are the product of each element's
   * up to the last that may fail, since what fails has those before it try their next; what comes
   * behind is tried once.
   *
   * @param refused whether something behind the alternatives may fail
   */
  private static double ways(
      List<List<PatternElement>> alternatives, boolean refused, double longest) {
    double all = 0;
    for (List<PatternElement> sequence : alternatives) {
      double product = 1;
      double behind = 0;
      boolean fails = refused;
      for (int i = sequence.size() - 1; i >= 0; i--) {
        PatternElement one = sequence.get(i);
        double once = once(one, fails, longest);
        if (fails) {
          product = before(one, once, product, Math.min(one.times(), longest));
        } else if (one.mayFail()) {
          product = once;
          fails = true;
        } else {
          behind += once;
        }
      }
      all += product + behind;
    }
    return all;
  }

  /**
   * The ways of an element before others. Of a group each way has those others, of a character one,
   * and a group that looks around has what is behind it tried once.
   *
   * @param once those of the element that is there once
   * @param product those of the others
   */
  private static double before(PatternElement one, double once, double product, double times) {
    return switch (one.kind()) {
      case CHARACTER, ANCHOR -> times * (product + once - 1);
      case GROUP -> product * (once + times - 1);
      case LOOKS_AHEAD, LOOKS_BEHIND -> product + once;
    };
  }

  /** Of an element that is there once; a group looks behind from each place that is near enough. */
  private static double once(PatternElement one, boolean fails, double longest) {
    return switch (one.kind()) {
      case CHARACTER, ANCHOR -> one.once();
      case GROUP -> ways(one.alternatives(), fails, longest);
      case LOOKS_AHEAD -> ways(one.alternatives(), true, longest);
      case LOOKS_BEHIND ->
          ways(one.alternatives(), true, longest) * (1 + longest(one.alternatives()));
    };
  }

  /** Characters that a group may look behind, in which nothing is repeated. */
  private static double longest(List<List<PatternElement>> alternatives) {
    double longest = 0;
    for (List<PatternElement> sequence : alternatives) {
      double length = 0;
      for (PatternElement one : sequence) {
        length += one.isGroup() ? longest(one.alternatives()) : 1;
      }
      longest = Math.max(longest, length);
    }
    return longest;
  }
}
