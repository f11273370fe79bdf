package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.prunepeft.text.Markdown;

/**
 * Rows that are read by people or by programs.
 *
 * @param columns their names
 * @param rows a cell for each column
 */
record Table(List<String> columns, List<List<Cell>> rows) {
  /** How it is written. */
  enum Format {
    /** A table in Markdown, its columns as wide as their cells. */
    MD(Table::markdown),
    /** A head line, then values between commas. */
    CSV(Table::csv),
    /** An array of objects. */
    JSON(Table::json);

    private final Function<Table, String> text;

    Format(Function<Table, String> text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * A value.
   *
   * @param value for programs; null: there is none
   * @param text for people
   */
  record Cell(Object value, String text) {
    static Cell of(Object value) {
      return new Cell(value, value == null ? "" : value.toString());
    }

    /** A number in a format of Java's, or none. */
    static Cell number(Number value, String format) {
      return new Cell(value, value == null ? "" : String.format(Locale.ROOT, format, value));
    }

    private boolean isNumber() {
      return value == null || value instanceof Number;
    }
  }

  String text(Format format) {
    return format.text.apply(this);
  }

  private String markdown() {
    return Markdown.table(
        columns,
        rows.stream().map(row -> row.stream().map(Cell::text).toList()).toList(),
        i -> rows.stream().allMatch(row -> row.get(i).isNumber()));
  }

  private String csv() {
    StringBuilder text = new StringBuilder(csv(columns));
    for (List<Cell> row : rows) {
      text.append(
          csv(row.stream().map(cell -> cell.value == null ? "" : cell.value.toString()).toList()));
    }
    return text.toString();
  }

  /** A line of cells, quoted where they have to be (RFC 4180). */
  static String csv(List<String> cells) {
    return cells.stream().map(Table::quoted).collect(Collectors.joining(",", "", "\n"));
  }

  private static String quoted(String cell) {
    return cell.matches("(?s).*[\",\r\n].*|\\s.*|.*\\s")
        ? "\"" + cell.replace("\"", "\"\"") + "\""
        : cell;
  }

  private String json() {
    List<Map<String, Object>> objects = new ArrayList<>();
    for (List<Cell> row : rows) {
      Map<String, Object> object = new LinkedHashMap<>();
      for (int i = 0; i < columns.size(); i++) {
        object.put(columns.get(i), row.get(i).value);
      }
      objects.add(object);
    }
    try {
      return new JsonMapper().writerWithDefaultPrettyPrinter().writeValueAsString(objects) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
