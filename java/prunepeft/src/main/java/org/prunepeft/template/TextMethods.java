package org.prunepeft.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;

/** Methods of strings. */
final class TextMethods {
  static final Map<String, Operation> ALL =
      Operation.table(
          Operation.of("strip(self, chars?)", a -> strip(a, true, true)),
          Operation.of("lstrip(self, chars?)", a -> strip(a, true, false)),
          Operation.of("rstrip(self, chars?)", a -> strip(a, false, true)),
          Operation.of("split(self, sep?, maxsplit?)", a -> split(a, false)),
          Operation.of("rsplit(self, sep?, maxsplit?)", a -> split(a, true)),
          Operation.of(
              "splitlines(self, keepends?)",
              a -> new ArrayList<Object>(Lines.of(a.made(a.text(0)), a.flag(1)))),
          Operation.of("partition(self, sep)", a -> partition(a, false)),
          Operation.of("rpartition(self, sep)", a -> partition(a, true)),
          Operation.of("startswith(self, prefix, start?, end?)", a -> affix(a, true)),
          Operation.of("endswith(self, suffix, start?, end?)", a -> affix(a, false)),
          Operation.of(
              "removeprefix(self, prefix)",
              a ->
                  a.text(0).startsWith(a.text(1))
                      ? a.text(0).substring(a.text(1).length())
                      : a.text(0)),
          Operation.of(
              "removesuffix(self, suffix)",
              a ->
                  a.text(0).endsWith(a.text(1))
                      ? a.text(0).substring(0, a.text(0).length() - a.text(1).length())
                      : a.text(0)),
          Operation.of(
              "replace(self, old, new, count?)",
              a -> replaced(a.text(0), a.text(1), a.text(2), a.integer(3, -1), a.limits())),
          Operation.of("upper(self)", a -> a.made(a.text(0).toUpperCase(Locale.ROOT))),
          Operation.of("lower(self)", a -> a.made(a.text(0).toLowerCase(Locale.ROOT))),
          Operation.of("casefold(self)", a -> a.made(a.text(0).toLowerCase(Locale.ROOT))),
          Operation.of("swapcase(self)", a -> a.made(swapped(a.text(0)))),
          Operation.of("capitalize(self)", a -> a.made(capitalized(a.text(0)))),
          Operation.of("title(self)", a -> a.made(titled(a.text(0)))),
          Operation.of(
              "join(self, parts)", a -> joined(a.elements(1), a.text(0), true, a.limits())),
          Operation.of("find(self, sub, start?, end?)", a -> find(a, false)),
          Operation.of("rfind(self, sub, start?, end?)", a -> find(a, true)),
          Operation.of("index(self, sub, start?, end?)", a -> found(a, find(a, false))),
          Operation.of("rindex(self, sub, start?, end?)", a -> found(a, find(a, true))),
          Operation.of("count(self, sub)", TextMethods::count),
          Operation.of(
              "format(self, *, **)",
              a -> Formats.braces(a.text(0), a.rest(), a.named(), a.limits())),
          Operation.of("isdigit(self)", a -> all(a.text(0), Character::isDigit)),
          Operation.of("isdecimal(self)", a -> all(a.text(0), Character::isDigit)),
          Operation.of("isnumeric(self)", a -> all(a.text(0), Character::isDigit)),
          Operation.of("isalpha(self)", a -> all(a.text(0), Character::isLetter)),
          Operation.of("isalnum(self)", a -> all(a.text(0), Character::isLetterOrDigit)),
          Operation.of("isspace(self)", a -> all(a.text(0), TextOperations::isSpace)),
          Operation.of("isupper(self)", a -> Tests.cased(a.text(0), true)),
          Operation.of("islower(self)", a -> Tests.cased(a.text(0), false)),
          Operation.of("ljust(self, width, fillchar?)", a -> padded(a, 0)),
          Operation.of("rjust(self, width, fillchar?)", a -> padded(a, 1)),
          Operation.of("center(self, width, fillchar?)", a -> padded(a, 0.5)),
          Operation.of("zfill(self, width)", TextMethods::zeros));

  private TextMethods() {}

  private static String strip(Bound a, boolean left, boolean right) {
    return stripped(a.text(0), a.textOrNull(1), left, right);
  }

  /** Without spaces, or these characters, at its ends. */
  static String stripped(String text, String characters, boolean left, boolean right) {
    IntPredicate goes =
        characters == null
            ? TextOperations::isSpace
            : characters.codePoints().boxed().collect(Collectors.toSet())::contains;
    int from = 0;
    int to = text.length();
    while (left && from < to && goes.test(text.codePointAt(from))) {
      from += Character.charCount(text.codePointAt(from));
    }
    while (right && to > from && goes.test(text.codePointBefore(to))) {
      to -= Character.charCount(text.codePointBefore(to));
    }
    return text.substring(from, to);
  }

  private static List<Object> split(Bound a, boolean fromRight) {
    String text = a.text(0);
    String separator = a.textOrNull(1);
    long most = a.integer(2, -1);
    long splits = most < 0 ? Long.MAX_VALUE : most;
    a.limits().spendLength(text.length());
    if (separator == null) {
      return fromRight ? wordsFromRight(text, splits) : words(text, splits);
    }
    if (separator.isEmpty()) {
      throw new Failure("%s: the separator must not be empty", a.name());
    }
    List<Object> parts = new ArrayList<>();
    int from = 0;
    int to = text.length();
    if (fromRight) {
      for (int at = TextSearch.last(text, separator, to, a.limits());
          at >= 0 && parts.size() < splits;
          at = TextSearch.last(text, separator, to - separator.length(), a.limits())) {
        parts.add(text.substring(at + separator.length(), to));
        to = at;
      }
      parts.add(text.substring(0, to));
      Collections.reverse(parts);
      return parts;
    }
    for (int at = TextSearch.first(text, separator, from, a.limits());
        at >= 0 && parts.size() < splits;
        at = TextSearch.first(text, separator, from, a.limits())) {
      parts.add(text.substring(from, at));
      from = at + separator.length();
    }
    parts.add(text.substring(from));
    return parts;
  }

  private static List<Object> words(String text, long splits) {
    List<Object> words = new ArrayList<>();
    int from = spaces(text, 0);
    while (from < text.length()) {
      int end = from;
      while (end < text.length() && !TextOperations.isSpace(text.charAt(end))) {
        end++;
      }
      if (words.size() == splits) {
        end = text.length();
      }
      words.add(text.substring(from, end));
      from = spaces(text, end);
    }
    return words;
  }

  /** The index after the spaces at an index. */
  private static int spaces(String text, int from) {
    int end = from;
    while (end < text.length() && TextOperations.isSpace(text.charAt(end))) {
      end++;
    }
    return end;
  }

  private static List<Object> wordsFromRight(String text, long splits) {
    List<Object> words = new ArrayList<>();
    int end = TextOperations.endWithoutSpaces(text, 0, text.length());
    while (end > 0) {
      int from = end;
      while (from > 0 && !TextOperations.isSpace(text.charAt(from - 1))) {
        from--;
      }
      if (words.size() == splits) {
        from = 0;
      }
      words.add(text.substring(from, end));
      end = TextOperations.endWithoutSpaces(text, 0, from);
    }
    Collections.reverse(words);
    return words;
  }

  private static Object partition(Bound a, boolean last) {
    String text = a.text(0);
    String separator = a.text(1);
    int at = found(text, separator, last, a.limits());
    return at >= 0
        ? Tuple.of(text.substring(0, at), separator, text.substring(at + separator.length()))
        : last ? Tuple.of("", "", text) : Tuple.of(text, "", "");
  }

  /** Whether a part of it begins or ends with a string, or one of a tuple's. */
  private static boolean affix(Bound a, boolean begins) {
    String text = part(a);
    List<Object> affixes = a.at(1) instanceof Tuple tuple ? tuple : List.of(a.text(1));
    for (Object affix : affixes) {
      if (!(affix instanceof String one)) {
        throw new Failure("%s takes strings, got %s", a.name(), ValueOperations.kind(affix));
      }
      a.limits().spendReading(one);
      if (begins ? text.startsWith(one) : text.endsWith(one)) {
        return true;
      }
    }
    return false;
  }

  /** The string between the second and third argument. */
  private static String part(Bound a) {
    Long from = a.has(2) ? (Long) a.integer(2, 0) : null;
    Long to = a.has(3) ? (Long) a.integer(3, 0) : null;
    return from == null && to == null
        ? a.text(0)
        : (String) Members.slice(a.text(0), from, to, null, a.limits());
  }

  private static long find(Bound a, boolean last) {
    String text = part(a);
    int at = found(text, a.text(1), last, a.limits());
    if (at < 0) {
      return -1;
    }
    long start = a.integer(2, 0);
    long before = start < 0 ? Math.max(0, start + ValueOperations.length(a.text(0))) : start;
    return before + text.codePointCount(0, at);
  }

  /** The index of the first or last occurrence; -1 if there is none. */
  private static int found(String text, String part, boolean last, Limits limits) {
    return last
        ? TextSearch.last(text, part, text.length(), limits)
        : TextSearch.first(text, part, 0, limits);
  }

  private static long found(Bound a, long at) {
    if (at < 0) {
      throw new Failure("%s: the string does not have '%s'", a.name(), a.text(1));
    }
    return at;
  }

  private static Object count(Bound a) {
    String text = a.text(0);
    String part = a.text(1);
    if (part.isEmpty()) {
      return ValueOperations.length(text) + 1;
    }
    long count = 0;
    for (int at = TextSearch.first(text, part, 0, a.limits());
        at >= 0;
        at = TextSearch.first(text, part, at + part.length(), a.limits())) {
      count++;
    }
    return count;
  }

  private static boolean all(String text, IntPredicate of) {
    return !text.isEmpty() && text.codePoints().allMatch(of);
  }

  static String replaced(String text, String old, String by, long count, Limits limits) {
    StringBuilder out = new StringBuilder();
    long left = count < 0 ? Long.MAX_VALUE : count;
    int from = 0;
    int at = TextSearch.first(text, old, 0, limits);
    while (at >= 0 && left > 0) {
      out.append(text, from, at);
      limits.append(by, out);
      limits.spend(1);
      from = at + old.length();
      left--;
      if (old.isEmpty()) {
        // Before each character and at the end.
        if (at == text.length()) {
          break;
        }
        at = text.offsetByCodePoints(at, 1);
      } else {
        at = TextSearch.first(text, old, from, limits);
      }
    }
    return out.append(text, from, text.length()).toString();
  }

  /** Texts with a separator between them; what is no text is refused where it is asked for. */
  static String joined(List<Object> parts, String separator, boolean strict, Limits limits) {
    StringBuilder all = new StringBuilder();
    String between = "";
    for (Object part : parts) {
      if (strict && !(part instanceof String)) {
        throw new Failure("join takes strings, got %s", ValueOperations.kind(part));
      }
      limits.append(between, all);
      limits.append(TextOperations.of(part, limits), all);
      between = separator;
    }
    return all.toString();
  }

  static String capitalized(String text) {
    int first = text.isEmpty() ? 0 : text.offsetByCodePoints(0, 1);
    return upperFirst(text.substring(0, first)) + text.substring(first).toLowerCase(Locale.ROOT);
  }

  private static String upperFirst(String character) {
    return character.isEmpty()
        ? ""
        : Character.toString(Character.toTitleCase(character.codePointAt(0)));
  }

  private static String titled(String text) {
    StringBuilder out = new StringBuilder();
    boolean inWord = false;
    for (int c : text.codePoints().toArray()) {
      out.appendCodePoint(inWord ? Character.toLowerCase(c) : Character.toTitleCase(c));
      inWord = Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }
    return out.toString();
  }

  private static String swapped(String text) {
    StringBuilder out = new StringBuilder();
    text.codePoints()
        .forEach(
            c ->
                out.appendCodePoint(
                    Character.isUpperCase(c)
                        ? Character.toLowerCase(c)
                        : Character.toUpperCase(c)));
    return out.toString();
  }

  /** With a share of the missing characters on the left. */
  private static String padded(Bound a, double onTheLeft) {
    String text = a.text(0);
    String fill = a.has(2) ? a.text(2) : " ";
    if (fill.length() != 1) {
      throw new Failure("%s: 'fillchar' must be one character, got '%s'", a.name(), fill);
    }
    return padded(text, a.integer(1, 0), fill.charAt(0), onTheLeft, a.limits());
  }

  static String padded(String text, long width, char fill, double onTheLeft, Limits limits) {
    long missing = Math.max(0, width - ValueOperations.length(text));
    // Python's: the odd one goes to the left where the width is odd.
    long left =
        onTheLeft == 0.5 ? missing / 2 + (missing & width & 1) : (long) (missing * onTheLeft);
    return Formats.padding(left, fill, limits)
        + text
        + Formats.padding(missing - left, fill, limits);
  }

  private static String zeros(Bound a) {
    String text = a.text(0);
    boolean signed = text.startsWith("-") || text.startsWith("+");
    String sign = signed ? text.substring(0, 1) : "";
    return sign
        + padded(
            text.substring(sign.length()), a.integer(1, 0) - sign.length(), '0', 1, a.limits());
  }
}
