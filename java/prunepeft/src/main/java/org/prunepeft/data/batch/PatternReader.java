package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.prunepeft.data.batch.PatternElement.Kind;

/**
 * Reads a regular expression as Oniguruma 6.9 does, in its own syntax. What is not listed here is
 * refused, since a construct that the two read otherwise would hide what the expression is.
 *
 * <table>
 *   <caption>What is taken</caption>
 *   <tr><th>construct</th><th>limits</th></tr>
 *   <tr><td>characters, {@code .}, {@code ^}, {@code $}, {@code |}</td><td></td></tr>
 *   <tr><td>{@code \d \D \s \S \w \W \h \H}, {@code \p{...}}, {@code \P{...}}</td><td></td></tr>
 *   <tr><td>{@code \t \n \r \f \v \a \e}, {@code \}uHHHH, {@code \x{H...}}, {@code \xHH}, a backslash before punctuation or a
 *     space</td><td>{@code \xHH} below 80</td></tr>
 *   <tr><td>{@code \b \B \A \z \Z \G}</td><td>not in classes, not repeated</td></tr>
 *   <tr><td>classes, also with classes, {@code [:name:]} and {@code &&} in them</td><td>{@code ]} and what begins as
 *     {@code [:} only by a backslash</td></tr>
 *   <tr><td>{@code ?}, {@code *}, {@code +} and numbers of times, also reluctant or possessive</td><td>100 times, once each;
 *     of groups {@code ?} alone</td></tr>
 *   <tr><td>groups {@code (...)}, {@code (?:...)}, {@code (?>...)}, {@code (?=...)}, {@code (?!...)},
 *     {@code (?<=...)}, {@code (?<!...)}</td><td>nothing is repeated in those that look behind</td></tr>
 *   <tr><td>{@code (?i:...)}, {@code (?m:...)}, and {@code (?i)} and the like at the beginning</td><td>where case does not
 *     count, ASCII alone, and in classes nothing that has other letters</td></tr>
 * </table>
 */
final class PatternReader {
  /** What a character is repeated at most, where a number says it. */
  private static final int MOST_TIMES = 100;

  private static final int DEEPEST = 20;

  /**
   * Ways of an "s" or "f" where case does not count: with what is behind it, it may be ß, ﬁ or the
   * like.
   */
  private static final double WAYS_OF_LIGATURES = 12;

  private static final Pattern OPTIONS = Pattern.compile("\\?(?<on>[im]*)(?:-[im]+)?\\)");
  private static final Pattern OPTIONS_OF_ALL = Pattern.compile("\\(" + OPTIONS);
  private static final Pattern GROUP =
      Pattern.compile("\\?(?:[:>]|(?<look><?[=!])|(?<on>[im]*)(?:-(?<off>[im]+))?:)");

  /** Up to 10FFFF. */
  private static final Pattern CODE =
      Pattern.compile("\\{(?:0{0,2}10|0{0,3}[0-9a-fA-F])?[0-9a-fA-F]{1,4}}");

  private static final Pattern BYTE = Pattern.compile("[0-7][0-9a-fA-F]");
  private static final Pattern UNIT = Pattern.compile("[0-9a-fA-F]{4}");
  private static final Pattern PROPERTY = Pattern.compile("\\{\\^?[A-Za-z0-9][A-Za-z0-9_ -]*}");
  private static final Pattern NAMED_CLASS =
      Pattern.compile(
          ":\\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):]");
  private static final Pattern TIMES =
      Pattern.compile("\\{(?<least>[0-9]{0,9})(?<comma>,(?<most>[0-9]{0,9}))?}");

  private final String path;
  private final String regex;
  private int at;
  private boolean ignoresCase;
  private boolean behind;

  private PatternReader(String path, String regex) {
    this.path = path;
    this.regex = regex;
  }

  /**
   * The alternatives of a regular expression, each a sequence.
   *
   * @param path where it is, as messages say it
   * @throws IllegalArgumentException if it has something that is not taken
   */
  static List<List<PatternElement>> read(String path, String regex) {
    PatternReader reader = new PatternReader(path, regex);
    reader.options();
    List<List<PatternElement>> alternatives = reader.alternatives(0);
    if (reader.at < regex.length()) {
      throw reader.unbalanced();
    }
    return alternatives;
  }

  /**
   * Those of the whole. In its midst they would have what follows, alternatives too, in a group.
   */
  private void options() {
    Matcher options = skip(OPTIONS_OF_ALL);
    ignoresCase = options != null && options.group("on").contains("i");
  }

  /** What is next if it is of that kind; null: it is not. */
  private Matcher skip(Pattern pattern) {
    Matcher matcher = pattern.matcher(regex).region(at, regex.length());
    if (!matcher.lookingAt()) {
      return null;
    }
    at = matcher.end();
    return matcher;
  }

  private boolean isNext(String characters) {
    return at < regex.length() && characters.indexOf(regex.charAt(at)) >= 0;
  }

  /** Up to the parenthesis that closes them, or the end. */
  private List<List<PatternElement>> alternatives(int depth) {
    requireDepth(depth);
    List<List<PatternElement>> alternatives = new ArrayList<>();
    List<PatternElement> sequence = new ArrayList<>();
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

  private PatternElement element(char c, int depth) {
    return switch (c) {
      case '(' -> group(depth + 1);
      case '[' -> {
        bracket(depth + 1, ignoresCase);
        yield PatternElement.of(Kind.CHARACTER, 1);
      }
      case '\\' -> {
        if (isNext("AzZGbB")) {
          at++;
          yield PatternElement.of(Kind.ANCHOR, 1);
        }
        escape(false);
        yield PatternElement.of(Kind.CHARACTER, 1);
      }
      case '^', '$' -> PatternElement.of(Kind.ANCHOR, 1);
      case '*', '+', '?' ->
          throw refused("has a %c that repeats nothing".formatted(c), "write \\" + c);
      default -> {
        requireAscii(c, ignoresCase);
        boolean ligatures = ignoresCase && "sSfF".indexOf(c) >= 0;
        yield PatternElement.of(Kind.CHARACTER, ligatures ? WAYS_OF_LIGATURES : 1);
      }
    };
  }

  private PatternElement group(int depth) {
    boolean ignored = ignoresCase;
    boolean wasBehind = behind;
    Kind kind = Kind.GROUP;
    if (isNext("*")) {
      throw refused("has a callout (*", "write (\\*");
    }
    if (isNext("?")) {
      kind = head();
    }
    List<List<PatternElement>> alternatives = alternatives(depth);
    if (at == regex.length()) {
      throw unbalanced();
    }
    at++;
    ignoresCase = ignored;
    behind = wasBehind;
    return PatternElement.group(kind, alternatives);
  }

  /** What stands behind an opening parenthesis: ?: ?= ?! ?<= ?<! ?> ?i: and the like. */
  private Kind head() {
    if (skip(OPTIONS) != null) {
      throw refused("sets flags in its midst", "write (?i:...)");
    }
    Matcher head = skip(GROUP);
    if (head == null) {
      throw refused(
          "has a group of a kind that is not known", "write (...) or (?:...) if it is a plain one");
    }
    if (head.group("on") != null) {
      ignoresCase |= head.group("on").contains("i");
    }
    if (head.group("off") != null) {
      ignoresCase &= !head.group("off").contains("i");
    }
    String look = head.group("look");
    if (look == null) {
      return Kind.GROUP;
    }
    behind |= look.startsWith("<");
    return look.startsWith("<") ? Kind.LOOKS_BEHIND : Kind.LOOKS_AHEAD;
  }

  /**
   * A class, from behind its opening bracket.
   *
   * @param ignoresCase whether the letters that it takes may be written by several others, which
   *     Oniguruma makes alternatives of: ss for ß
   */
  private void bracket(int depth, boolean ignoresCase) {
    requireDepth(depth);
    boolean negated = isNext("^");
    at += negated ? 1 : 0;
    boolean ascii = ignoresCase && !negated;
    if (isNext("]")) {
      throw refused("has a ] at the beginning of a class", "write \\]");
    }
    while (!isNext("]")) {
      if (at == regex.length()) {
        throw refused("has a [ that is not closed", "write \\[ if it is no class");
      }
      char c = regex.charAt(at++);
      if (c == '\\') {
        escape(ascii);
      } else if (c == '[' && ascii) {
        throw ofOtherLetters("a class in a class");
      } else if (c == '[' && !isNext(":")) {
        bracket(depth + 1, false);
      } else if (c == '[' && skip(NAMED_CLASS) == null) {
        throw refused("has [: without the name of a class and :]", "write \\[:");
      } else {
        requireAscii(c, ascii);
      }
    }
    at++;
  }

  /**
   * From behind a backslash.
   *
   * @param ascii whether it is in a class that may have no other characters
   */
  private void escape(boolean ascii) {
    if (at == regex.length()) {
      throw refused("ends with \\", "write \\\\");
    }
    char c = regex.charAt(at++);
    boolean known =
        switch (c) {
          case 'd', 's', 'h', 't', 'n', 'r', 'f', 'v', 'a', 'e' -> true;
          case 'w', 'D', 'S', 'W', 'H' -> otherLetters("\\" + c, ascii);
          case 'p', 'P' -> otherLetters("\\" + c, ascii) && skip(PROPERTY) != null;
          case 'u' -> otherLetters("\\u", ascii || ignoresCase) && skip(UNIT) != null;
          case 'x' ->
              otherLetters("\\x", ascii || ignoresCase)
                  && (skip(BYTE) != null || skip(CODE) != null);
          default -> c < 0x80 && !Character.isLetterOrDigit(c);
        };
    if (Character.isDigit(c) || c == 'k' || c == 'g') {
      throw refused("refers to a group", "write what it has");
    }
    if (!known) {
      throw refused(
          "has \\%c, which is not known so".formatted(c),
          "write \\p{L} or the like, \\x41, \\x{1F642}, \\u00e9, or the character itself");
    }
  }

  private boolean otherLetters(String what, boolean ascii) {
    if (ascii) {
      throw ofOtherLetters(what);
    }
    return true;
  }

  private void requireAscii(char c, boolean ascii) {
    if (ascii && c >= 0x80) {
      throw ofOtherLetters("\\u%04x".formatted((int) c));
    }
  }

  private IllegalArgumentException ofOtherLetters(String what) {
    return refused(
        "has %s where case does not count".formatted(what),
        "write it outside of (?i:...), or both cases");
  }

  private PatternElement quantified(PatternElement one) {
    if (!isNext("?*+{")) {
      return one;
    }
    char c = regex.charAt(at);
    PatternElement repeated =
        switch (c) {
          case '?' -> one.repeated(0, 2);
          case '*' -> one.repeated(0, Double.POSITIVE_INFINITY);
          case '+' -> one.repeated(1, Double.POSITIVE_INFINITY);
          default -> counted(one);
        };
    at += c == '{' ? 0 : 1;
    if (one.kind() == Kind.GROUP && c != '?') {
      throw refused("repeats a group", "repeat a class");
    }
    if (one.kind() != Kind.GROUP && one.kind() != Kind.CHARACTER) {
      throw refused("repeats what takes no character", "leave it out");
    }
    if (behind) {
      throw refused("repeats something that it looks behind for", "write it so often");
    }
    // A second one is possessive or reluctant; behind numbers a + repeats what is repeated.
    if (isNext(c == '{' ? "?" : "?+")) {
      at++;
    }
    if (isNext("*+?{")) {
      throw refused("repeats what is repeated", "write \\ before the character");
    }
    return repeated;
  }

  /** {n}, {n,}, {,m} or {n,m}. */
  private PatternElement counted(PatternElement one) {
    Matcher times = skip(TIMES);
    if (times == null || times.group().matches("\\{,?}")) {
      throw refused("has a { that counts nothing", "write \\{");
    }
    boolean exact = times.group("comma") == null;
    int least = number(times.group("least"), 0);
    int most = exact ? least : number(times.group("most"), -1);
    if (Math.max(least, most) > MOST_TIMES) {
      throw refused("repeats something more than %d times".formatted(MOST_TIMES), "write * or +");
    }
    if (most >= 0 && most < least) {
      throw refused("counts from %d to %d".formatted(least, most), "write the smaller one first");
    }
    return one.repeated(
        // {n}? may be left out, {n,m}? is reluctant.
        exact && isNext("?") ? 0 : least, most < 0 ? Double.POSITIVE_INFINITY : most - least + 2);
  }

  private static int number(String digits, int otherwise) {
    return digits.isEmpty() ? otherwise : Integer.parseInt(digits);
  }

  private void requireDepth(int depth) {
    if (depth > DEEPEST) {
      throw refused(
          "has more than %d groups or classes in each other".formatted(DEEPEST), "write fewer");
    }
  }

  private IllegalArgumentException unbalanced() {
    return refused("has parentheses that do not match", "write \\( or \\) if it is no group");
  }

  private IllegalArgumentException refused(String why, String remedy) {
    return new IllegalArgumentException(
        "%s %s (at character %d), which is not taken: %s".formatted(path, why, at, remedy));
  }
}
