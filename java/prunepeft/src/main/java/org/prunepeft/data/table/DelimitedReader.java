package org.prunepeft.data.table;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.dataformat.csv.CsvFactory;
import com.fasterxml.jackson.dataformat.csv.CsvParser;
import com.fasterxml.jackson.dataformat.csv.CsvSchema;
import java.io.IOException;
import java.io.Reader;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;
import org.prunepeft.io.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Cells between commas or tabs. All rows have as many as the first; blank lines are no rows. */
final class DelimitedReader implements TableReader {
  private static final Logger LOG = LoggerFactory.getLogger(DelimitedReader.class);

  private static final CsvFactory CSV =
      CsvFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder().maxStringLength(Integer.MAX_VALUE).build())
          .build();

  /** The place of a column that is not there. */
  private static final int ABSENT = -1;

  private final String name;
  private final CsvParser parser;
  private final char separator;
  private final boolean header;
  private final boolean lenient;
  private final List<String> names;
  private final int width;
  private final int[] wanted;
  private long line;

  /** Without a header the first row, which was read to see how many columns there are. */
  private List<String> pending;

  /**
   * @param optional those of the columns that need not be there: their cells are empty then
   */
  DelimitedReader(
      Reader in,
      String name,
      char separator,
      List<String> columns,
      Set<String> optional,
      boolean header,
      boolean lenient)
      throws IOException {
    this.name = name;
    this.separator = separator;
    this.header = header;
    this.lenient = lenient;
    CsvSchema schema = CsvSchema.emptySchema().withColumnSeparator(separator);
    parser = CSV.createParser(in);
    parser.enable(CsvParser.Feature.WRAP_AS_ARRAY);
    parser.setSchema(separator == '\t' ? schema.withoutQuoteChar() : schema);
    begin();
    List<String> first = firstRow();
    if (first == null) {
      throw new DataException(name + " is empty; a file of examples has a row for each");
    }
    width = first.size();
    names =
        header
            ? List.copyOf(first)
            : IntStream.rangeClosed(1, width).mapToObj(Integer::toString).toList();
    wanted =
        columns.stream()
            .mapToInt(
                column ->
                    optional.contains(column) && !names.contains(column)
                        ? ABSENT
                        : index(column, first))
            .toArray();
    pending = header ? null : first;
  }

  private void begin() throws IOException {
    // The array of all rows.
    parser.nextToken();
  }

  private int index(String column, List<String> first) {
    int named = header ? first.indexOf(column) : -1;
    if (named >= 0) {
      if (first.lastIndexOf(column) > named) {
        throw new DataException(
            "%s has two columns named '%s'; name it by its number, %d or %d"
                .formatted(name, column, named + 1, first.lastIndexOf(column) + 1));
      }
      return named;
    }
    if (column.matches("[0-9]{1,6}")) {
      int number = Integer.parseInt(column);
      if (number >= 1 && number <= first.size()) {
        return number - 1;
      }
      throw new IllegalArgumentException(
          "%s has the columns 1 to %d, but column %s is asked for"
              .formatted(name, first.size(), column));
    }
    if (header) {
      throw MissingColumnException.of(name, column, first, separator);
    }
    throw new IllegalArgumentException(
        "%s is read without a header, so its columns are numbers, 1 to %d, but column '%s' is asked for"
            .formatted(name, first.size(), column));
  }

  @Override
  public List<String> columns() {
    return names;
  }

  @Override
  public List<String> next() throws IOException {
    List<String> row = pending == null ? row() : pending;
    pending = null;
    while (row != null && leftOut(row)) {
      row = row();
    }
    if (row == null) {
      return null;
    }
    if (row.size() != width && !lenient) {
      throw new DataException(
          "%s, line %d: a row must have as many columns as the first, %d, got %d"
              .formatted(name, line, width, row.size()));
    }
    List<String> cells = row;
    return IntStream.of(wanted).mapToObj(at -> at == ABSENT ? "" : cells.get(at)).toList();
  }

  private List<String> firstRow() throws IOException {
    List<String> row = row();
    while (row != null && isBlank(row)) {
      row = row();
    }
    return row;
  }

  private static boolean isBlank(List<String> row) {
    return row.size() == 1 && row.get(0).isBlank();
  }

  private boolean leftOut(List<String> row) {
    boolean blank = isBlank(row);
    boolean damaged = !blank && lenient && row.size() < width;
    if (damaged) {
      LOG.warn("{}, line {}: left out, it has {} of {} columns", name, line, row.size(), width);
    }
    return blank || damaged;
  }

  private List<String> row() throws IOException {
    try {
      if (parser.nextToken() != JsonToken.START_ARRAY) {
        return null;
      }
      line = parser.currentLocation().getLineNr();
      List<String> cells = new ArrayList<>();
      while (parser.nextToken() == JsonToken.VALUE_STRING) {
        cells.add(parser.getText());
      }
      return cells;
    } catch (JsonProcessingException e) {
      throw new FormatException(
          "%s, line %d: the row is not understood as CSV: %s"
              .formatted(name, line, e.getOriginalMessage()),
          e);
    }
  }

  @Override
  public Place place() {
    return new Place(name, line);
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }
}
