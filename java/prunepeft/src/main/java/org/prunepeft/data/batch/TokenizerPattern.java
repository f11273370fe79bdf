package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The pattern of a tokenizer.json by which texts are split or replaced: a text, or a regular
 * expression in Oniguruma's syntax. That tries one way after the other, and where it has gone back
 * ten million times at one place of a text, the library panics, which ends the process. So the ways
 * are counted beforehand ({@link #ways}), in the longest text that a tokenizer may be given, and
 * groups must not be repeated: real tokenizers have no such patterns.
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

  /** What a character is repeated at most, where a number says it. */
  private static final int MOST_TIMES = 100;

  private static final int DEEPEST = 20;

  private final TokenizerPart part;
  private final String regex;

  /** Characters of the longest text that it meets. */
  private final double longest;

  private int at;

  private TokenizerPattern(TokenizerPart part, long growth) {
    this.part = part;
    regex = part.text(LONGEST);
    longest = (double) LONGEST_TEXT * growth;
  }

  /**
   * A character, an anchor or a group, and how often.
   *
   * @param alternatives of a group; empty: no group
   * @param looks whether it takes no character: an anchor, or a group that looks ahead or behind
   * @param least times
   * @param times how many numbers of times there are from the least to the most; may be infinite
   */
  private record Element(List<List<Element>> alternatives, boolean looks, int least, double times) {
    boolean isGroup() {
      return !alternatives.isEmpty();
    }

    /** Whether there are texts on which it fails, so that ways before it are tried anew. */
    boolean mayFail() {
      return least > 0
          && (looks
              || !isGroup()
              || alternatives.stream().allMatch(one -> one.stream().anyMatch(Element::mayFail)));
    }

    Element repeated(int least, double times) {
      return new Element(alternatives, looks, least, times);
    }
  }

  /**
   * Checks {"String": ...} or {"Regex": ...} of a split.
   *
   * @param growth how many times longer replacements before it may have made a text
   */
  static void check(TokenizerPart pattern, long growth) {
    check(pattern, growth, false);
  }

  /** Checks the same of a replacement: what matches no character puts the library out of step. */
  static void checkReplaced(TokenizerPart pattern, long growth) {
    check(pattern, growth, true);
  }

  private static void check(TokenizerPart pattern, long growth, boolean replaced) {
    if (pattern.json().size() != 1) {
      throw pattern.wrong("an object with String or Regex");
    }
    if (!pattern.json().has("String")) {
      new TokenizerPattern(pattern.get("Regex"), growth).check(replaced);
    } else if (pattern.get("String").text(LONGEST).isEmpty() && replaced) {
      throw pattern.get("String").wrong("a text with a character");
    }
  }

  /**
   * @param replaced whether each alternative must take a character, outside of its groups
   */
  private void check(boolean replaced) {
    List<List<Element>> alternatives = alternatives(0);
    if (at < regex.length()) {
      throw refused("has parentheses that do not match");
    }
    if (replaced && !alternatives.stream().allMatch(TokenizerPattern::takes)) {
      throw refused("may match where there is no character");
    }
    requireFewWays(alternatives, SHORT_TEXT, MOST_WAYS_OF_SHORT);
    requireFewWays(alternatives, longest, MOST_WAYS);
  }

  private void requireFewWays(List<List<Element>> alternatives, double longest, double most) {
    double ways = ways(alternatives, false, longest);
    if (ways > most) {
      throw refused(
          String.format(
              Locale.ROOT,
              "has some %.0e ways to match at one place of a text of %,.0f characters, more than %.0e",
              ways,
              longest,
              most));
    }
  }

  private static boolean takes(List<Element> sequence) {
    return sequence.stream().anyMatch(one -> !one.isGroup() && !one.looks && one.least > 0);
  }

  /**
   * The ways that may be tried from one place. Of a sequence they are the product of each element's
   * up to the last that may fail, since what fails has those before it try their next; what comes
   * behind is tried once.
   *
   * @param refused whether something behind the alternatives may fail
   * @param longest characters of the text
   */
  private static double ways(List<List<Element>> alternatives, boolean refused, double longest) {
    double all = 0;
    for (List<Element> sequence : alternatives) {
      double product = 1;
      double behind = 0;
      boolean fails = refused;
      for (int i = sequence.size() - 1; i >= 0; i--) {
        Element one = sequence.get(i);
        double once = one.isGroup() ? ways(one.alternatives, fails || one.looks, longest) : 1;
        if (fails) {
          product *= once + Math.min(one.times, longest) - 1;
        } else if (one.mayFail()) {
          product *= once;
          fails = true;
        } else {
          behind += once;
        }
      }
      all += product + behind;
    }
    return all;
  }

  /** Up to the parenthesis that closes them, or the end. */
  private List<List<Element>> alternatives(int depth) {
    if (depth > DEEPEST) {
      throw refused("has more than %d groups in each other".formatted(DEEPEST));
    }
    List<List<Element>> alternatives = new ArrayList<>();
    List<Element> sequence = new ArrayList<>();
    while (at < regex.length() && regex.charAt(at) != ')') {
      char c = regex.charAt(at++);
      if (c == '|') {
        alternatives.add(sequence);
        sequence = new ArrayList<>();
      } else {
        sequence.add(quantified(element(c, depth)));
      }
    }
    alternatives.add(sequence);
    return alternatives;
  }

  private Element element(char c, int depth) {
    boolean looks = c == '^' || c == '$';
    List<List<Element>> alternatives = List.of();
    if (c == '\\') {
      escape();
      looks = "bBAzZGKyY".indexOf(regex.charAt(at - 1)) >= 0;
    } else if (c == '[') {
      bracket();
    } else if (c == '(') {
      looks = head();
      alternatives = alternatives(depth + 1);
      if (at == regex.length()) {
        throw refused("has parentheses that do not match");
      }
      at++;
    }
    return new Element(alternatives, looks, 1, 1);
  }

  private void escape() {
    if (at == regex.length()) {
      throw refused("ends with \\");
    }
    char c = regex.charAt(at++);
    if (Character.isDigit(c) && c != '0' || c == 'k' || c == 'g') {
      throw refused("refers to a group");
    }
    if ("XcCM".indexOf(c) >= 0) {
      throw refused("has \\" + c);
    }
    if ((c == 'p' || c == 'P' || c == 'x' || c == 'u') && at < regex.length()) {
      if (regex.charAt(at) == '{') {
        int end = regex.indexOf('}', at);
        at = end < 0 ? regex.length() : end + 1;
      }
    }
  }

  private void bracket() {
    int open = 1;
    boolean first = true;
    while (open > 0) {
      if (at == regex.length()) {
        throw refused("has a [ that is not closed");
      }
      char c = regex.charAt(at++);
      if (c == '\\') {
        escape();
      } else if (c == '[') {
        open++;
      } else if (c == ']' && !first) {
        open--;
      }
      first = first && c == '^';
    }
  }

  /**
   * What may stand behind an opening parenthesis: ?: ?= ?! ?<= ?<! ?> ?i: and the like.
   *
   * @return whether the group looks ahead or behind
   */
  private boolean head() {
    if (at == regex.length() || regex.charAt(at) != '?') {
      return false;
    }
    int start = ++at;
    // With x spaces would count for nothing.
    while (at < regex.length() && "ims-<".indexOf(regex.charAt(at)) >= 0) {
      at++;
    }
    if (at == regex.length() || ":=!>)".indexOf(regex.charAt(at)) < 0 || at - start > 6) {
      throw refused("has a group of a kind that is not known");
    }
    char kind = regex.charAt(at);
    if (kind != ')') {
      at++;
    } else if (start != 2) {
      // They would have what follows, alternatives too, in a group of its own.
      throw refused("sets flags in its midst");
    }
    return kind == '=' || kind == '!';
  }

  private Element quantified(Element one) {
    if (at == regex.length()) {
      return one;
    }
    Element repeated;
    char c = regex.charAt(at);
    if (c == '?') {
      at++;
      repeated = one.repeated(0, 2);
    } else if (c == '*' || c == '+') {
      at++;
      repeated = one.repeated(c == '*' ? 0 : 1, Double.POSITIVE_INFINITY);
    } else if (c == '{') {
      repeated = counted(one);
    } else {
      return one;
    }
    if (one.isGroup() && c != '?') {
      throw refused("repeats a group");
    }
    // A second one is possessive or reluctant; behind numbers a + repeats what is repeated.
    if (at < regex.length() && (regex.charAt(at) == '?' || regex.charAt(at) == '+' && c != '{')) {
      at++;
    }
    if (at < regex.length() && "*+?{".indexOf(regex.charAt(at)) >= 0) {
      throw refused("repeats what is repeated");
    }
    return repeated;
  }

  /** {n}, {n,}, {,m} or {n,m}. */
  private Element counted(Element one) {
    int end = regex.indexOf('}', at);
    String[] numbers = end < 0 ? new String[0] : regex.substring(at + 1, end).split(",", -1);
    if (numbers.length < 1 || numbers.length > 2) {
      throw refused("has a { that counts nothing");
    }
    for (String number : numbers) {
      if (!number.matches("[0-9]{0,3}")
          || !number.isEmpty() && Integer.parseInt(number) > MOST_TIMES) {
        throw refused("repeats something more than %d times".formatted(MOST_TIMES));
      }
    }
    int least = numbers[0].isEmpty() ? 0 : Integer.parseInt(numbers[0]);
    String most = numbers[numbers.length - 1];
    at = end + 1;
    return one.repeated(
        // {n}? may be left out.
        at < regex.length() && regex.charAt(at) == '?' ? 0 : least,
        most.isEmpty() ? Double.POSITIVE_INFINITY : Math.abs(Integer.parseInt(most) - least) + 2);
  }

  private IllegalArgumentException refused(String why) {
    return new IllegalArgumentException(
        "%s %s (at character %d), which is not taken".formatted(part.path(), why, at));
  }
}
