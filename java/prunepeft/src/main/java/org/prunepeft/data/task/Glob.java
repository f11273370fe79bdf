package org.prunepeft.data.task;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;

/**
 * A pattern of files' names, in the syntax of {@link java.nio.file.FileSystem#getPathMatcher}: *
 * and ? stay within a directory, ** does not, [a-z] and [!a-z] are one character, {a,b} is one of
 * several texts, \ takes what follows it literally. Other than there, and as fsspec has it, by
 * which the hub reads patterns, a directory ** may be none: **&#47;a.csv is a.csv too.
 *
 * <p>All ways to match are followed at once, so that the time is at most the product of the lengths
 * of pattern and name; Java's matcher tries one after the other, and may not come to an end.
 */
final class Glob {
  private interface Characters {
    boolean have(char c);
  }

  /**
   * A place in the pattern.
   *
   * @param characters with which it is left for {@code next}; none if it is left without any
   * @param others places that are reached without a character
   */
  private record PatternState(Characters characters, int next, List<Integer> others) {}

  /** Characters of a pattern, more than most systems' paths may have. */
  private static final int LONGEST = 4096;

  private final String pattern;
  private final List<PatternState> places = new ArrayList<>();
  private int at;

  /**
   * @throws IllegalArgumentException if a bracket or brace is not closed, braces are nested, or the
   *     pattern ends with \
   */
  Glob(String pattern) {
    this.pattern = pattern;
    if (pattern.length() > LONGEST) {
      throw wrong("it has %d characters, the most is %d,".formatted(pattern.length(), LONGEST));
    }
    while (at < pattern.length()) {
      char c = pattern.charAt(at++);
      if (c == '{') {
        alternatives();
      } else {
        one(c);
      }
    }
  }

  /** Whether the whole path matches. */
  boolean matches(Path path) {
    String name = path.toString();
    BitSet reached = new BitSet();
    reach(reached, 0);
    for (int i = 0; i < name.length() && !reached.isEmpty(); i++) {
      BitSet next = new BitSet();
      for (int at = reached.nextSetBit(0); at >= 0; at = reached.nextSetBit(at + 1)) {
        if (at < places.size() && places.get(at).characters.have(name.charAt(i))) {
          reach(next, places.get(at).next);
        }
      }
      reached = next;
    }
    return reached.get(places.size());
  }

  private void reach(BitSet reached, int first) {
    Deque<Integer> open = new ArrayDeque<>();
    open.push(first);
    while (!open.isEmpty()) {
      int place = open.pop();
      if (!reached.get(place)) {
        reached.set(place);
        if (place < places.size()) {
          places.get(place).others.forEach(open::push);
        }
      }
    }
  }

  private void one(char c) {
    switch (c) {
      case '*' -> {
        if (anyDirectories()) {
          return;
        }
        boolean deep = at < pattern.length() && pattern.charAt(at) == '*';
        at += deep ? 1 : 0;
        int here = places.size();
        places.add(new PatternState(x -> deep || x != '/', here, List.of(here + 1)));
      }
      case '?' -> take(x -> x != '/');
      case '[' -> take(bracket());
      case '\\' -> {
        char literal = following("a character must follow \\");
        take(x -> x == literal);
      }
      default -> take(x -> x == c);
    }
  }

  /** Of **&#47; at the beginning or behind a slash: none, or all up to a slash. */
  private boolean anyDirectories() {
    boolean begins = at == 1 || pattern.charAt(at - 2) == '/';
    if (!begins || !pattern.startsWith("*/", at)) {
      return false;
    }
    at += 2;
    int here = places.size();
    places.add(new PatternState(x -> false, here, List.of(here + 1, here + 3)));
    places.add(new PatternState(x -> true, here + 1, List.of(here + 2)));
    take(x -> x == '/');
    return true;
  }

  private void take(Characters characters) {
    places.add(new PatternState(characters, places.size() + 1, List.of()));
  }

  private Characters bracket() {
    boolean negated = at < pattern.length() && pattern.charAt(at) == '!';
    at += negated ? 1 : 0;
    StringBuilder ranges = new StringBuilder();
    for (char c = following("[ is not closed"); c != ']'; c = following("[ is not closed")) {
      char last = c;
      if (at + 1 < pattern.length() && pattern.charAt(at) == '-' && pattern.charAt(at + 1) != ']') {
        at++;
        last = following("[ is not closed");
      }
      ranges.append(c).append(last);
    }
    return x -> x != '/' && negated != within(ranges, x);
  }

  private static boolean within(CharSequence ranges, char x) {
    for (int i = 0; i < ranges.length(); i += 2) {
      if (ranges.charAt(i) <= x && x <= ranges.charAt(i + 1)) {
        return true;
      }
    }
    return false;
  }

  private void alternatives() {
    List<Integer> starts = new ArrayList<>();
    List<Integer> ends = new ArrayList<>();
    free(starts);
    starts.add(places.size());
    for (char c = following("{ is not closed"); c != '}'; c = following("{ is not closed")) {
      if (c == '{') {
        throw wrong("braces are nested");
      }
      if (c == ',') {
        ends.add(places.size());
        free(new ArrayList<>());
        starts.add(places.size());
      } else {
        one(c);
      }
    }
    ends.forEach(end -> places.get(end).others.add(places.size()));
  }

  private void free(List<Integer> others) {
    places.add(new PatternState(x -> false, 0, others));
  }

  private char following(String otherwise) {
    if (at == pattern.length()) {
      throw wrong(otherwise);
    }
    return pattern.charAt(at++);
  }

  private IllegalArgumentException wrong(String why) {
    String shown = pattern.length() <= 80 ? pattern : pattern.substring(0, 80) + "...";
    return new IllegalArgumentException(
        "'%s' is no pattern of files: %s at character %d".formatted(shown, why, at));
  }
}
