package org.prunepeft.text;

import java.util.List;
import java.util.stream.Collectors;

/** Words as a POSIX shell takes them. */
public final class ShellWords {
  private ShellWords() {}

  /** {@return a command that a shell reads as these words} */
  public static String line(List<String> words) {
    return words.stream().map(ShellWords::quoted).collect(Collectors.joining(" "));
  }

  /** {@return a word, between quotes where a shell would read it as another} */
  public static String quoted(String word) {
    return word.matches("[A-Za-z0-9_./:=,@%+-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
