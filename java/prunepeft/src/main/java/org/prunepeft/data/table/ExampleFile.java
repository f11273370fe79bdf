package org.prunepeft.data.table;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.Place;
import org.prunepeft.data.Schema;
import org.prunepeft.io.Utf8Reader;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A file of examples, a row each, in a {@link TableFormat}; read once, from its beginning. Texts
 * and labels with a NUL or half a surrogate pair are refused, which no tokenizer takes.
 */
public final class ExampleFile implements Closeable {
  private static final Logger LOG = LoggerFactory.getLogger(ExampleFile.class);

  private final String name;
  private final Columns columns;
  private final boolean labelled;
  private final TableReader reader;

  private ExampleFile(String name, Columns columns, boolean labelled, TableReader reader) {
    this.name = name;
    this.columns = columns;
    this.labelled = labelled;
    this.reader = reader;
  }

  /**
   * An example as it is in the file.
   *
   * @param place where it is
   * @param text the text, or the first of two
   * @param pair the second; null for single texts
   * @param label without spaces around it; null if it was not asked for
   * @param number whether the file has the label as a number, which has several spellings, and not
   *     as a text
   */
  public record Row(Place place, String text, String pair, String label, boolean number) {
    /**
     * {@return whether the label is the number -1, however it is written, by which the hub marks
     * those that are kept back}
     */
    public boolean isKeptBack() {
      return ExampleFile.isKeptBack(label);
    }

    /** {@return the example without its label} */
    public Example unlabelled() {
      return new Example(text, pair, Example.UNLABELLED).at(place);
    }
  }

  /**
   * Opens a file; its owner closes it.
   *
   * @param file whose name gives its format
   * @param columns where texts and labels are
   * @param labelled whether labels are read; without, there need be none
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format, or a column is not there
   */
  public static ExampleFile open(Path file, Columns columns, boolean labelled) {
    return open(file, columns, labelled, false);
  }

  /**
   * Opens a file with labels, of whose rows those that are too short are left out, with a warning.
   *
   * @param file whose name gives its format
   * @param columns where texts and labels are
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format, or a column is not there
   */
  public static ExampleFile openLenient(Path file, Columns columns) {
    return open(file, columns, true, true);
  }

  private static ExampleFile open(Path file, Columns columns, boolean labelled, boolean lenient) {
    TableReader reader;
    try {
      reader = reader(file, columns.names(labelled), Set.of(), columns.header(), lenient, false);
    } catch (MissingColumnException e) {
      throw e.withOption(columns);
    }
    return new ExampleFile(file.toString(), columns, labelled, reader);
  }

  /**
   * A reader of some columns.
   *
   * @param optional those of the columns that need not be there
   * @param header whether the first line of a table names them
   * @param lenient whether rows that are too short are left out
   * @param nested whether their values may be lists and objects
   */
  private static TableReader reader(
      Path file,
      List<String> columns,
      Set<String> optional,
      boolean header,
      boolean lenient,
      boolean nested) {
    TableFormat format =
        TableFormat.of(file)
            .orElseThrow(
                () -> new IllegalArgumentException(file + " is not read: " + remedy(file)));
    if (Files.isDirectory(file)) {
      throw new DataException("can't read %s: it is a directory".formatted(file));
    }
    if (format == TableFormat.PARQUET) {
      try {
        return new ParquetTable(file, columns, optional, nested);
      } catch (IOException e) {
        throw DataException.unreadable(file.toString(), e);
      }
    }
    List<Path> shards = files(file);
    return shards.size() == 1
        ? text(shards.get(0), format, columns, optional, header, lenient)
        : new ShardReader(shards, shard -> text(shard, format, columns, optional, header, lenient));
  }

  private static TableReader text(
      Path file,
      TableFormat format,
      List<String> columns,
      Set<String> optional,
      boolean header,
      boolean lenient) {
    InputStream in;
    try {
      in = TableFormat.isGzip(file) ? new GzipFile(file) : Files.newInputStream(file);
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
    Utf8Reader text = new Utf8Reader(in, file.toString());
    try {
      return format.reader(text, file.toString(), columns, optional, header, lenient);
    } catch (IOException | RuntimeException e) {
      try {
        text.close();
      } catch (IOException suppressed) {
        e.addSuppressed(suppressed);
      }
      throw e instanceof IOException io
          ? DataException.unreadable(file.toString(), io)
          : (RuntimeException) e;
    }
  }

  /** What to do with a file whose name gives no format. */
  private static String remedy(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    if (name.endsWith(".arrow")) {
      return "write Parquet in Python: datasets.Dataset.from_file(\"%s\").to_parquet(\"train.parquet\")"
          .formatted(file);
    }
    if (!TableFormat.withoutPacking(name).equals(name)) {
      return "unpack it";
    }
    if (name.matches(".*\\.(xlsx?|ods)")) {
      return "save the sheet as .csv";
    }
    return "its format is not known by its name; rename it to end in .tsv, .csv, .jsonl or .parquet";
  }

  /**
   * {@return the files that a name stands for: the file itself, or all shards of a table}
   *
   * @param file of a table in shards the first
   * @throws DataException if a shard is missing
   * @throws IllegalArgumentException if it is a shard, but not the first
   */
  public static List<Path> files(Path file) {
    try {
      return TableFormat.of(file).isPresent() ? Shards.of(file) : List.of(file);
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
  }

  /**
   * {@return all examples of a file, labelled; 1 or more}
   *
   * @param file whose name gives its format
   * @param columns where texts and labels are
   * @param schema that knows the labels
   * @throws DataException if it can't be read, is damaged, or has a label that is not known
   * @throws IllegalArgumentException if the name gives no format, or a column is not there
   */
  public static List<Example> labelled(Path file, Columns columns, Schema schema) {
    try (ExampleFile examples = open(file, columns, true)) {
      return new LabelReader(schema).examples(examples.rowsWithLabels());
    }
  }

  /**
   * {@return the next row; empty at the end}
   *
   * @throws DataException if it is damaged; the message names the line
   */
  public Optional<Row> next() {
    List<String> cells;
    try {
      cells = reader.next();
    } catch (IOException e) {
      throw DataException.unreadable(name, e);
    }
    if (cells == null) {
      return Optional.empty();
    }
    List<String> names = columns.names(labelled);
    for (int i = 0; i < cells.size(); i++) {
      requireCharacters(cells.get(i), reader.place(), names.get(i));
    }
    String label = labelled ? cells.get(cells.size() - 1).strip() : null;
    if (labelled && label.isEmpty()) {
      throw new DataException(
          "%s: the label, column '%s', is empty".formatted(reader.place(), columns.label()));
    }
    String pair = columns.pair() == null ? null : cells.get(1);
    boolean number = labelled && reader.isNumber(cells.size() - 1);
    return Optional.of(new Row(reader.place(), cells.get(0), pair, label, number));
  }

  /**
   * {@return all rows that are left; 1 or more}
   *
   * @throws DataException if there are none, or one is damaged
   */
  public List<Row> rows() {
    List<Row> rows = new ArrayList<>();
    for (Optional<Row> row = next(); row.isPresent(); row = next()) {
      rows.add(row.get());
    }
    if (rows.isEmpty()) {
      throw new DataException(name + " has no rows; a file of examples has one for each");
    }
    return rows;
  }

  /**
   * {@return all rows that are left, 1 or more, but for those whose label is kept back} These are
   * left out, with a warning, where labels are numbers of the file's {@link #classes}: -1 is none
   * of them. Where all are, none is left out.
   *
   * @throws DataException if there are none, one is damaged, or one has no words
   */
  public List<Row> rowsWithLabels() {
    List<Row> rows = rows();
    rows.forEach(this::requireWords);
    if (classes().isEmpty() || classes().stream().anyMatch(ExampleFile::isKeptBack)) {
      return rows;
    }
    List<Row> labelled = rows.stream().filter(row -> !row.isKeptBack()).toList();
    if (labelled.isEmpty() || labelled.size() == rows.size()) {
      return rows;
    }
    LOG.warn(
        "{}: {} of {} rows are left out, whose label, column '{}', is -1, as the hub marks those that have none",
        name,
        rows.size() - labelled.size(),
        rows.size(),
        columns.label());
    return labelled;
  }

  /**
   * {@return the names of a file's columns; of JSON Lines those of the first object's members}
   *
   * @param file whose name gives its format; the first line of a table names its columns
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format
   */
  public static List<String> columns(Path file) {
    return columns(file, true);
  }

  /**
   * {@return the names of a file's columns; of a table without a header their numbers from 1}
   *
   * @param file whose name gives its format
   * @param header whether the first line of a table names its columns
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format
   */
  public static List<String> columns(Path file, boolean header) {
    try (TableReader reader = reader(file, List.of(), Set.of(), header, false, true)) {
      return reader.columns();
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
  }

  /**
   * {@return whether a file has a column}
   *
   * @param file whose name gives its format
   * @param there its {@link #columns}
   * @param column its name, or of a table its number from 1
   */
  public static boolean has(Path file, List<String> there, String column) {
    boolean numbered = TableFormat.of(file).filter(TableFormat::isDelimited).isPresent();
    return there.contains(column)
        || numbered
            && column.matches("[1-9][0-9]{0,5}")
            && Integer.parseInt(column) <= there.size();
  }

  /**
   * {@return what is made of the wanted cells of all rows, 1 or more}
   *
   * @param file whose name gives its format
   * @param columns that are wanted, by name or, of a table, by number
   * @param optional those of them that need not be there: their cells are empty then
   * @param header whether the first line of a table names its columns
   * @param row what is made of a row
   * @param <T> its type
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format, or a column is not there
   */
  static <T> List<T> cells(
      Path file,
      List<String> columns,
      Set<String> optional,
      boolean header,
      BiFunction<Place, List<String>, T> row) {
    List<T> rows = new ArrayList<>();
    try (TableReader reader = reader(file, columns, optional, header, false, false)) {
      for (List<String> cells = reader.next(); cells != null; cells = reader.next()) {
        for (int i = 0; i < cells.size(); i++) {
          requireCharacters(cells.get(i), reader.place(), columns.get(i));
        }
        rows.add(row.apply(reader.place(), cells));
      }
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
    if (rows.isEmpty()) {
      throw new DataException(file + " has no rows; a file of examples has one for each");
    }
    return rows;
  }

  /**
   * {@return the cells of a column, by the place of their row}
   *
   * @param file whose name gives its format
   * @param column its name, or of a table its number from 1
   * @param header whether the first line of a table names its columns
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format, or the column is not there
   */
  public static Map<Place, String> byPlace(Path file, String column, boolean header) {
    return cells(
            file,
            List.of(column),
            Set.of(),
            header,
            (place, cells) -> Map.entry(place, cells.get(0)))
        .stream()
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  /** What is made of a row. */
  public interface RowReader<T> {
    /**
     * {@return what a row says}
     *
     * @param place where it is
     * @param values of the wanted columns: texts, numbers, lists and objects; a null node where
     *     there is none
     */
    T read(Place place, List<JsonNode> values);
  }

  /**
   * {@return what is made of all rows, 1 or more, whose values may be lists and objects}
   *
   * @param file whose name gives its format
   * @param columns that are wanted, by name
   * @param row what is made of a row; what it throws ends the reading
   * @param <T> its type
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format, or a table lacks a column
   */
  public static <T> List<T> values(Path file, List<String> columns, RowReader<T> row) {
    return values(file, columns, Set.of(), row);
  }

  /**
   * {@return the same, where some columns need not be there}
   *
   * @param file whose name gives its format
   * @param columns that are wanted, by name
   * @param optional those of them that a table may lack: a null node, or an empty text, is there
   *     then
   * @param row what is made of a row; what it throws ends the reading
   * @param <T> its type
   * @throws DataException if it can't be read, is empty or is damaged
   * @throws IllegalArgumentException if the name gives no format, or a table lacks another column
   */
  public static <T> List<T> values(
      Path file, List<String> columns, Set<String> optional, RowReader<T> row) {
    List<T> rows = new ArrayList<>();
    try (TableReader reader = reader(file, columns, optional, true, false, true)) {
      for (List<JsonNode> values = reader.values(); values != null; values = reader.values()) {
        for (int i = 0; i < values.size(); i++) {
          if (values.get(i).isTextual()) {
            requireCharacters(values.get(i).asText(), reader.place(), columns.get(i));
          }
        }
        rows.add(row.read(reader.place(), values));
      }
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
    if (rows.isEmpty()) {
      throw new DataException(file + " has no rows; a file of examples has one for each");
    }
    return rows;
  }

  /**
   * {@return the values of the first row, which may be lists and objects; empty if there is none}
   *
   * @param file whose name gives its format
   * @param columns that are wanted, by name
   * @throws DataException if it can't be read or is damaged
   * @throws IllegalArgumentException if the name gives no format, or a table lacks a column
   */
  public static Optional<List<JsonNode>> first(Path file, List<String> columns) {
    try (TableReader reader = reader(file, columns, Set.of(), true, false, true)) {
      return Optional.ofNullable(reader.values());
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
  }

  /** {@return names of the label's classes by their numbers; none where the file has none} */
  public List<String> classes() {
    return reader.classes(columns.label());
  }

  private void requireWords(Row row) {
    if (row.text().isBlank() && (row.pair() == null || row.pair().isBlank())) {
      throw new DataException(
          row.pair() == null
              ? "%s: the text, column '%s', is blank; take the row out"
                  .formatted(row.place(), columns.text())
              : "%s: both texts, columns '%s' and '%s', are blank; take the row out"
                  .formatted(row.place(), columns.text(), columns.pair()));
    }
  }

  static boolean isKeptBack(String label) {
    return label.matches("-1(\\.0*)?");
  }

  private static void requireCharacters(String cell, Place place, String column) {
    for (int i = 0; i < cell.length(); i++) {
      char c = cell.charAt(i);
      if (Character.isHighSurrogate(c)
          && i + 1 < cell.length()
          && Character.isLowSurrogate(cell.charAt(i + 1))) {
        i++;
      } else if (c == 0 || Character.isSurrogate(c)) {
        throw new DataException(
            "%s, column '%s': %s at character %d is not text; take it out"
                .formatted(
                    place,
                    column,
                    c == 0 ? "a NUL" : "half a surrogate pair, \\u%04x,".formatted((int) c),
                    i + 1));
      }
    }
  }

  @Override
  public void close() {
    try {
      reader.close();
    } catch (IOException e) {
      throw DataException.unreadable(name, e);
    }
  }
}
