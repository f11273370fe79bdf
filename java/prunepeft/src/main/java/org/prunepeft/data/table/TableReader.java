package org.prunepeft.data.table;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.Closeable;
import java.io.IOException;
import java.util.List;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;

/** Rows of a file, of which some columns are wanted. */
interface TableReader extends Closeable {
  /**
   * The wanted cells of the next row, in the order in which the columns were named; null at the
   * end.
   *
   * @throws DataException if the row has not what is wanted; names the line
   * @throws IOException if the file can't be read or is not of its format
   */
  List<String> next() throws IOException;

  /**
   * The names of all columns; of JSON objects the members of the first. Before any row is read.
   *
   * @throws IOException if the file can't be read or is not of its format
   */
  List<String> columns() throws IOException;

  /**
   * The same as values of any kind: lists and objects too; a null node where there is none. Null at
   * the end.
   *
   * @throws IOException if the file can't be read or is not of its format
   */
  default List<JsonNode> values() throws IOException {
    List<String> cells = next();
    return cells == null ? null : cells.stream().<JsonNode>map(TextNode::valueOf).toList();
  }

  /** The names of a column's classes by their numbers, where the file says them; else none. */
  default List<String> classes(String column) {
    return List.of();
  }

  /** Whether a cell of the row that {@link #next} gave last is a number by its type, no text. */
  default boolean isNumber(int cell) {
    return false;
  }

  /** Where the row that was read last begins. */
  Place place();
}
