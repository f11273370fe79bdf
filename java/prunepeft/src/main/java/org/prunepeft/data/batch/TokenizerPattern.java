package org.prunepeft.data.batch;

/**
 * The pattern of a tokenizer.json by which texts are split or replaced: a text, or a regular
 * expression in Oniguruma's syntax. That tries one way after the other, so that the time may grow
 * without a bound in what is repeated; and its end, a panic, is the process's. So groups must not
 * be repeated, nor may much be in a row: real tokenizers have no such patterns.
 */
final class TokenizerPattern {
  private static final int LONGEST = 2000;

  /** Of one alternative. */
  private static final int MOST_REPETITIONS = 4;

  /** What a character is repeated at most, where a number says it. */
  private static final int MOST_TIMES = 100;

  private final TokenizerPart part;
  private final String regex;
  private int at;

  /** Whether what the last quantifier repeats may be missing. */
  private boolean optional;

  private TokenizerPattern(TokenizerPart part) {
    this.part = part;
    regex = part.text(LONGEST);
  }

  /** Checks {"String": ...} or {"Regex": ...} of a split. */
  static void check(TokenizerPart pattern) {
    check(pattern, false);
  }

  /** Checks the same of a replacement: what matches no character puts the library out of step. */
  static void checkReplaced(TokenizerPart pattern) {
    check(pattern, true);
  }

  private static void check(TokenizerPart pattern, boolean replaced) {
    if (pattern.json().size() != 1) {
      throw pattern.wrong("an object with String or Regex");
    }
    if (!pattern.json().has("String")) {
      new TokenizerPattern(pattern.get("Regex")).check(replaced);
    } else if (pattern.get("String").text(LONGEST).isEmpty() && replaced) {
      throw pattern.get("String").wrong("a text with a character");
    }
  }

  /**
   * @param replaced whether each alternative must take a character, outside of its groups
   */
  private void check(boolean replaced) {
    int repetitions = 0;
    int taken = 0;
    int open = 0;
    while (at < regex.length()) {
      char c = regex.charAt(at++);
      boolean group = false;
      boolean takes = true;
      switch (c) {
        case '\\' -> {
          escape();
          takes = "bBAzZGK".indexOf(regex.charAt(Math.min(at, regex.length()) - 1)) < 0;
        }
        case '[' -> bracket();
        case '^', '$' -> takes = false;
        case '(' -> {
          open++;
          head();
          continue;
        }
        case ')' -> {
          open--;
          group = true;
        }
        case '|' -> {
          if (open == 0) {
            requireTaken(replaced, taken);
            repetitions = 0;
            taken = 0;
          }
          continue;
        }
        default -> {
          // A character, or an anchor.
        }
      }
      optional = false;
      boolean repeated = quantifier(group);
      taken += takes && !group && !optional && open == 0 ? 1 : 0;
      if (repeated && ++repetitions > MOST_REPETITIONS) {
        throw refused("repeats more than %d times in a row".formatted(MOST_REPETITIONS));
      }
    }
    if (open != 0) {
      throw refused("has parentheses that do not match");
    }
    requireTaken(replaced, taken);
  }

  private void requireTaken(boolean replaced, int taken) {
    if (replaced && taken == 0) {
      throw refused("may match where there is no character");
    }
  }

  private void escape() {
    if (at == regex.length()) {
      throw refused("ends with \\");
    }
    char c = regex.charAt(at++);
    if (Character.isDigit(c) && c != '0' || c == 'k' || c == 'g') {
      throw refused("refers to a group");
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

  /** What may stand behind an opening parenthesis: ?: ?= ?! ?<= ?<! ?> ?i: and the like. */
  private void head() {
    if (at < regex.length() && regex.charAt(at) == '?') {
      int start = ++at;
      while (at < regex.length() && "imsx-<".indexOf(regex.charAt(at)) >= 0) {
        at++;
      }
      if (at == regex.length() || ":=!>)".indexOf(regex.charAt(at)) < 0 || at - start > 6) {
        throw refused("has a group of a kind that is not known");
      }
      if (regex.charAt(at) != ')') {
        at++;
      }
    }
  }

  /** Whether what stands before is repeated without a small bound. */
  private boolean quantifier(boolean group) {
    if (at == regex.length()) {
      return false;
    }
    char c = regex.charAt(at);
    if (c == '?') {
      at++;
      optional = true;
      return repeatedAgain(false);
    }
    boolean repeated = c == '*' || c == '+';
    optional = c == '*';
    if (repeated) {
      at++;
    } else if (c == '{') {
      repeated = counted();
    } else {
      return false;
    }
    if (group) {
      throw refused("repeats a group");
    }
    return repeatedAgain(repeated);
  }

  /** A second quantifier is possessive or reluctant; a third repeats what is repeated. */
  private boolean repeatedAgain(boolean repeated) {
    if (at < regex.length() && (regex.charAt(at) == '+' || regex.charAt(at) == '?')) {
      at++;
    }
    if (at < regex.length() && "*+?{".indexOf(regex.charAt(at)) >= 0) {
      throw refused("repeats what is repeated");
    }
    return repeated;
  }

  /** {n}, {n,} or {n,m}; whether it is open. */
  private boolean counted() {
    int end = regex.indexOf('}', at);
    String[] numbers = end < 0 ? new String[0] : regex.substring(at + 1, end).split(",", -1);
    if (numbers.length < 1 || numbers.length > 2) {
      throw refused("has a { that counts nothing");
    }
    boolean open = numbers.length == 2 && numbers[1].isEmpty();
    for (String number : numbers) {
      if (!number.matches("[0-9]{0,3}")
          || !number.isEmpty() && Integer.parseInt(number) > MOST_TIMES) {
        throw refused("repeats something more than %d times".formatted(MOST_TIMES));
      }
    }
    optional = numbers[0].isEmpty() || Integer.parseInt(numbers[0]) == 0;
    at = end + 1;
    return open;
  }

  private IllegalArgumentException refused(String why) {
    return new IllegalArgumentException(
        "%s %s (at character %d), which is not taken".formatted(part.path(), why, at));
  }
}
