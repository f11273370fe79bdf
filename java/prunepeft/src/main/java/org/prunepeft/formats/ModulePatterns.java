package org.prunepeft.formats;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Numbers of some modules by patterns of their names, as PEFT's rank_pattern and alpha_pattern hold
 * them: a regular expression for the end of a name, from a dot on. What would take long to match is
 * refused: these files come from elsewhere.
 */
final class ModulePatterns {
  /** Names of modules have some 50 characters, models some hundreds of modules. */
  private static final int LONGEST = 300;

  private static final int MOST = 10_000;

  /** Characters that offer the matcher a choice. */
  private static final int CHOICES = 10;

  /** Characters of a name that the matcher may look at, one as often as it likes. */
  private static final int LOOKS = 100_000;

  /** The same of all patterns and modules: a thousand modules with a pattern each take a third. */
  private static final long ALL_LOOKS = 200_000_000;

  private record Entry(String text, Pattern pattern, double value) {}

  private final String origin;
  private final List<Entry> entries = new ArrayList<>();
  private long looks;

  /**
   * @param origin what messages call the field
   * @throws IllegalArgumentException if a pattern is none, or is too long or too intricate, or a
   *     value is no finite number
   */
  ModulePatterns(String origin, Map<?, ?> values) {
    this.origin = origin;
    if (values.size() > MOST) {
      throw new IllegalArgumentException(
          "%s must have at most %d entries, got %d".formatted(origin, MOST, values.size()));
    }
    values.forEach((name, value) -> entries.add(entry(name.toString(), value)));
  }

  private Entry entry(String text, Object value) {
    if (!(value instanceof Number number)) {
      throw new IllegalArgumentException(
          "%s: the value of '%s' must be a number, got %s".formatted(origin, shown(text), value));
    }
    if (!Double.isFinite(number.doubleValue())) {
      throw new IllegalArgumentException(
          "%s: the value of '%s' must be finite, got %s".formatted(origin, shown(text), value));
    }
    long choices = text.chars().filter(c -> "*+?|".indexOf(c) >= 0).count();
    if (text.length() > LONGEST || choices > CHOICES || text.indexOf('{') >= 0) {
      throw refused(
          text,
          "it may have %d characters, %d of them * + ? or |, and no {".formatted(LONGEST, CHOICES));
    }
    try {
      return new Entry(text, Pattern.compile("(.*\\.)?(" + text + ")"), number.doubleValue());
    } catch (PatternSyntaxException e) {
      throw refused(text, e.getDescription());
    }
  }

  /** The value of the first pattern that fits a module's name; if there is none, the other. */
  double of(String module, double otherwise) {
    for (Entry entry : entries) {
      int[] left = {LOOKS};
      try {
        if (entry.pattern.matcher(new Looks(module, left)).matches()) {
          return entry.value;
        }
      } catch (TooManyLooks e) {
        throw refused(entry.text, "it takes too long to match");
      }
      looks += LOOKS - left[0];
      if (looks > ALL_LOOKS) {
        throw refused(entry.text, "it and those before it take too long to match");
      }
    }
    return otherwise;
  }

  private IllegalArgumentException refused(String text, String reason) {
    return new IllegalArgumentException(
        "%s: the pattern '%s' is not supported: %s; name the module"
            .formatted(origin, shown(text), reason));
  }

  private static String shown(String text) {
    return text.length() <= 80 ? text : text.substring(0, 80) + "...";
  }

  /** A name that can be looked at so often and no more. */
  private record Looks(String name, int[] left) implements CharSequence {
    @Override
    public int length() {
      return name.length();
    }

    @Override
    public char charAt(int index) {
      if (left[0]-- == 0) {
        throw new TooManyLooks();
      }
      return name.charAt(index);
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return name.substring(start, end);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  private static final class TooManyLooks extends RuntimeException {
    private static final long serialVersionUID = 1;
  }
}
