package org.prunepeft.text;

import java.util.List;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Texts within Markdown. */
public final class Markdown {
  private static final int NARROWEST = 3;

  /** A column is as wide as its widest cell of at most so many characters: longer ones jut out. */
  private static final int WIDEST = 64;

  private Markdown() {}

  /** {@return a text as a cell of a table: a cell ends at a bar, and a row at a line break} */
  public static String cell(String text) {
    return text.replaceAll("(?<!\\\\)(\\\\*+)\\|", "$1$1\\\\|").replaceAll("\\R", " ");
  }

  /**
   * {@return a table whose columns are aligned in its source as well, each line with its end}
   *
   * @param heads of the columns
   * @param rows a cell for each column, any text
   * @param right whether the column of an index is aligned on the right, as numbers are
   */
  public static String table(List<String> heads, List<List<String>> rows, IntPredicate right) {
    List<List<String>> lines =
        Stream.concat(Stream.of(heads), rows.stream())
            .map(row -> row.stream().map(Markdown::cell).toList())
            .toList();
    List<Integer> widths =
        IntStream.range(0, heads.size())
            .mapToObj(i -> width(lines.stream().map(line -> line.get(i))))
            .toList();
    List<String> rule =
        IntStream.range(0, heads.size())
            .mapToObj(i -> "-".repeat(widths.get(i) - 1) + (right.test(i) ? ":" : "-"))
            .toList();
    // Asked once: it may look at all rows.
    List<Boolean> aligned = IntStream.range(0, heads.size()).mapToObj(i -> right.test(i)).toList();
    StringBuilder text = new StringBuilder();
    line(text, lines.get(0), widths, aligned);
    line(text, rule, widths, aligned);
    lines.stream().skip(1).forEach(line -> line(text, line, widths, aligned));
    return text.toString();
  }

  private static int width(Stream<String> cells) {
    return cells
        .mapToInt(String::length)
        .filter(length -> length <= WIDEST)
        .reduce(NARROWEST, Math::max);
  }

  private static void line(
      StringBuilder text, List<String> cells, List<Integer> widths, List<Boolean> right) {
    for (int i = 0; i < cells.size(); i++) {
      String cell = cells.get(i);
      String padding = " ".repeat(Math.max(0, widths.get(i) - cell.length()));
      text.append("| ").append(right.get(i) ? padding + cell : cell + padding).append(' ');
    }
    text.append("|\n");
  }
}
