package org.prunepeft.data.table;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.NullNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Reader;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.JsonAsWritten;
import org.prunepeft.text.Spelling;

/** A JSON object a line; blank lines are passed over. Numbers and booleans are read as written. */
final class JsonLinesReader implements TableReader {
  private static final JsonMapper JSON =
      JsonAsWritten.mapper(
          StreamReadConstraints.builder().maxStringLength(Integer.MAX_VALUE).build());

  private final BufferedReader in;
  private final String name;
  private final List<String> columns;
  private final Set<String> optional;
  private long line;

  /** Of the object that was read last. */
  private String text;

  /** The same, as {@link #next} read it. */
  private JsonNode row;

  /**
   * @param optional those of the columns that need not be there: their cells are empty then
   */
  JsonLinesReader(Reader in, String name, List<String> columns, Set<String> optional) {
    this.in = new BufferedReader(in);
    this.name = name;
    this.columns = List.copyOf(columns);
    this.optional = Set.copyOf(optional);
  }

  @Override
  public List<String> columns() throws IOException {
    JsonNode object = object();
    if (object == null) {
      throw new DataException(name + " is empty; a file of examples has an object for each");
    }
    return names(object);
  }

  /** The next one; null at the end. */
  private JsonNode object() throws IOException {
    do {
      text = in.readLine();
      line++;
    } while (text != null && text.isBlank());
    return text == null ? null : parse();
  }

  private static List<String> names(JsonNode object) {
    List<String> names = new ArrayList<>();
    object.fieldNames().forEachRemaining(names::add);
    return names;
  }

  @Override
  public List<String> next() throws IOException {
    JsonNode object = object();
    if (object == null) {
      return null;
    }
    row = object;
    List<String> cells = new ArrayList<>(columns.size());
    for (String column : columns) {
      cells.add(cell(object, column));
    }
    return cells;
  }

  @Override
  public List<JsonNode> values() throws IOException {
    JsonNode object = object();
    if (object == null) {
      return null;
    }
    return columns.stream()
        .map(column -> object.has(column) ? object.get(column) : NullNode.getInstance())
        .toList();
  }

  private JsonNode parse() throws IOException {
    JsonNode node;
    try {
      node = JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new FormatException(
          "%s, line %d: a JSON object is needed: %s"
              .formatted(name, line, e.getOriginalMessage().lines().findFirst().orElse("")),
          e);
    } catch (IllegalArgumentException | ArithmeticException e) {
      throw new FormatException(
          "%s, line %d: a number has an exponent that is out of range; write it as a text"
              .formatted(name, line),
          e);
    }
    if (!node.isObject()) {
      throw new FormatException(
          "%s, line %d: each line must be a JSON object, got %s; jq -c '.[]' makes lines of an array"
              .formatted(
                  name, line, node.getNodeType().toString().toLowerCase(java.util.Locale.ROOT)));
    }
    return node;
  }

  private String cell(JsonNode object, String column) throws IOException {
    JsonNode value = object.get(column);
    if (optional.contains(column) && (value == null || value.isNull())) {
      return "";
    }
    if (value == null) {
      throw new IllegalArgumentException(
          "%s, line %d: %s"
              .formatted(name, line, Spelling.unknown("column", column, names(object))));
    }
    if (!value.isValueNode() || value.isNull()) {
      throw new DataException(
          "%s, line %d: '%s' must be a text or a number, got %s"
              .formatted(
                  name,
                  line,
                  column,
                  value.isNull() ? "null" : value.isArray() ? "an array" : "an object"));
    }
    return value.isBigDecimal() ? written(column) : value.asText();
  }

  /** A number as the line has it: of an exponent or of zeros at its end nothing is changed. */
  private String written(String column) throws IOException {
    try (JsonParser parser = JSON.createParser(text)) {
      parser.nextToken();
      while (!column.equals(parser.nextFieldName())) {
        parser.nextToken();
        parser.skipChildren();
      }
      parser.nextToken();
      return parser.getText();
    }
  }

  @Override
  public boolean isNumber(int cell) {
    return row.path(columns.get(cell)).isNumber();
  }

  @Override
  public Place place() {
    return new Place(name, line);
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
