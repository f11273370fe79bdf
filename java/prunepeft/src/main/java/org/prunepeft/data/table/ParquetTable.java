package org.prunepeft.data.table;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.parquet.ParquetReadOptions;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.convert.GroupRecordConverter;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.apache.parquet.hadoop.metadata.FileMetaData;
import org.apache.parquet.io.ColumnIOFactory;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.RecordReader;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Place;
import org.prunepeft.io.FormatException;
import org.prunepeft.text.Spelling;

/**
 * Columns of a Parquet file: texts, numbers and truth values. Of a set of {@link Shards} the first
 * stands for all. Rows count as lines. Whole numbers that stand for classes by {@link ClassLabels}
 * are read as the names of these, all but -1.
 */
final class ParquetTable implements TableReader {
  /** By which the hub marks labels that are kept back. */
  private static final String WITHHELD = "-1";

  static {
    // Read from the class path; module-info says why.
    ClassLoader loader = ParquetTable.class.getClassLoader();
    ParquetTable.class.getModule().addReads(loader.getUnnamedModule());
  }

  private final List<String> columns;

  /** Columns that need not be there. */
  private final Set<String> optional;

  /** Whether columns may hold lists and objects. */
  private final boolean nested;

  private final List<Path> shards;
  private final ParquetReadOptions options =
      ParquetReadOptions.builder().withCodecFactory(new ParquetCodecs()).build();
  private int shard;
  private ParquetFileReader file;

  /** Of all columns. */
  private MessageType whole;

  private MessageType schema;

  /** By column, the names that its whole numbers stand for. */
  private Map<String, List<String>> classes;

  /** What it reads of a row. */
  private ParquetValues content;

  private RecordReader<Group> rows;
  private long left;
  private long line;

  /**
   * @param optional those of the columns that need not be there, nor have a value
   * @param nested whether columns may hold lists and objects, for {@link #values}
   * @throws FormatException if it is no Parquet file, or a shard is missing
   * @throws IllegalArgumentException if a column is not there or holds something else
   * @throws IOException if reading fails
   */
  ParquetTable(Path file, List<String> columns, Set<String> optional, boolean nested)
      throws IOException {
    this.columns = List.copyOf(columns);
    this.optional = Set.copyOf(optional);
    this.nested = nested;
    shards = Shards.of(file);
    open();
  }

  private void open() throws IOException {
    Path path = shards.get(shard);
    FileMetaData metadata;
    try {
      ParquetFooter.require(path);
      file = ParquetFileReader.open(new LocalInputFile(path), options);
      metadata = file.getFooter().getFileMetaData();
    } catch (NoSuchFileException | FormatException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      closeAfter(e);
      throw damaged(e);
    }
    try {
      whole = metadata.getSchema();
      requireReadable(path);
      content = new ParquetValues(size(path));
      classes = ClassLabels.read(metadata.getKeyValueMetaData().get(ClassLabels.KEY));
      List<Type> wanted = new ArrayList<>();
      for (String column : columns) {
        if (whole.containsField(column) || !optional.contains(column)) {
          wanted.add(column(path, column));
        }
      }
      schema = wanted.isEmpty() ? whole : new MessageType(whole.getName(), wanted);
      file.setRequestedSchema(schema);
    } catch (FormatException | IllegalArgumentException e) {
      closeAfter(e);
      throw e; // says what of the file is not as it was asked for
    } catch (IOException | RuntimeException e) {
      closeAfter(e);
      throw damaged(e);
    }
  }

  /** Of a file that is not read. */
  private void closeAfter(Exception failure) {
    try {
      if (file != null) {
        file.close();
      }
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
    file = null;
  }

  private static UnpackedSize size(Path path) throws IOException {
    return new UnpackedSize(path.toString(), Files.size(path), "write it as .csv or .jsonl");
  }

  private void requireReadable(Path path) throws IOException {
    // Where none is there all are read; where none is named, none, since only their names are.
    boolean all = columns.stream().noneMatch(whole::containsField);
    UnpackedSize held = columns.isEmpty() ? null : size(path);
    // The same bytes for many columns would be read, and kept as rows, as often.
    long left = Files.size(path);
    for (BlockMetaData block : file.getRowGroups()) {
      for (ColumnChunkMetaData chunk : block.getColumns()) {
        if (!ParquetCodecs.READABLE.contains(chunk.getCodec())) {
          throw new IllegalArgumentException(
              "%s is compressed by %s; write it with one of %s"
                  .formatted(path, chunk.getCodec(), ParquetCodecs.READABLE));
        }
        if (all || columns.contains(chunk.getPath().toArray()[0])) {
          left -= Math.max(0, chunk.getTotalSize());
          if (left < 0) {
            throw new FormatException(
                "%s is no Parquet file or is damaged: its columns are to have more bytes than the file"
                    .formatted(path));
          }
          ParquetPages.require(path, chunk, block.getRowCount(), held);
        }
      }
    }
  }

  private Type column(Path path, String name) {
    if (!whole.containsField(name)) {
      throw new IllegalArgumentException(
          "%s: %s"
              .formatted(
                  path,
                  Spelling.unknown(
                      "column", name, whole.getFields().stream().map(Type::getName).toList())));
    }
    Type type = whole.getType(name);
    if (!nested && !readable(type)) {
      throw new IllegalArgumentException(
          "%s: column '%s' must hold texts, numbers or truth values, its type is %s"
              .formatted(path, name, type));
    }
    return type;
  }

  private static boolean readable(Type type) {
    if (!type.isPrimitive() || type.isRepetition(Type.Repetition.REPEATED)) {
      return false;
    }
    LogicalTypeAnnotation meaning = type.getLogicalTypeAnnotation();
    return switch (type.asPrimitiveType().getPrimitiveTypeName()) {
      case BOOLEAN, FLOAT, DOUBLE -> meaning == null;
      case INT32, INT64 ->
          meaning == null
              || meaning instanceof LogicalTypeAnnotation.IntLogicalTypeAnnotation integer
                  && integer.isSigned();
      case BINARY ->
          meaning == null
              || meaning instanceof LogicalTypeAnnotation.StringLogicalTypeAnnotation
              || meaning instanceof LogicalTypeAnnotation.EnumLogicalTypeAnnotation;
      default -> false;
    };
  }

  @Override
  public List<String> columns() {
    return whole.getFields().stream().map(Type::getName).toList();
  }

  @Override
  public List<String> next() throws IOException {
    Group row = row();
    if (row == null) {
      return null;
    }
    List<String> cells = new ArrayList<>();
    for (String column : columns) {
      cells.add(cell(row, column));
    }
    return cells;
  }

  @Override
  public List<JsonNode> values() throws IOException {
    Group row = row();
    if (row == null) {
      return null;
    }
    List<JsonNode> values = new ArrayList<>();
    for (String column : columns) {
      try {
        values.add(
            schema.containsField(column)
                ? content.value(row, schema.getFieldIndex(column))
                : NullNode.getInstance());
      } catch (CharacterCodingException e) {
        throw new FormatException("%s: '%s' is not UTF-8".formatted(place(), column), e);
      }
    }
    return values;
  }

  /** The next one; null at the end. */
  private Group row() throws IOException {
    try {
      while (left == 0) {
        PageReadStore pages = file.readNextRowGroup();
        if (pages != null) {
          left = pages.getRowCount();
          rows =
              new ColumnIOFactory()
                  .getColumnIO(schema)
                  .getRecordReader(
                      new ParquetRuns(shards.get(shard), pages), new GroupRecordConverter(schema));
        } else if (shard + 1 < shards.size()) {
          file.close();
          shard++;
          line = 0;
          open();
        } else {
          return null;
        }
      }
      left--;
      line++;
      return rows.read();
    } catch (FormatException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof FormatException format) {
          throw format;
        }
      }
      throw damaged(e);
    }
  }

  private String cell(Group row, String name) throws IOException {
    int column = schema.containsField(name) ? schema.getFieldIndex(name) : -1;
    if (column < 0 || row.getFieldRepetitionCount(column) == 0) {
      if (optional.contains(name)) {
        return "";
      }
      throw new DataException(
          "%s: '%s' must be a text or a number, got null".formatted(place(), name));
    }
    PrimitiveType type = schema.getType(column).asPrimitiveType();
    if (type.getPrimitiveTypeName() != PrimitiveType.PrimitiveTypeName.BINARY) {
      List<String> names = classes(name);
      return names.isEmpty() ? row.getValueToString(column, 0) : name(row, column, names);
    }
    ByteBuffer bytes = row.getBinary(column, 0).toByteBuffer();
    try {
      return content.text(bytes);
    } catch (CharacterCodingException e) {
      throw new FormatException("%s: '%s' is not UTF-8".formatted(place(), name), e);
    }
  }

  /** The class's name, where the cell is its number. */
  private String name(Group row, int column, List<String> names) {
    String value = row.getValueToString(column, 0);
    if (value.equals(WITHHELD)) {
      return value;
    }
    try {
      return names.get(Integer.parseInt(value));
    } catch (NumberFormatException | IndexOutOfBoundsException e) {
      throw new DataException(
          String.format(
              Locale.ROOT,
              "%s: '%s' must be the number of one of the file's %d classes, 0 or more, got %s",
              place(),
              columns.get(column),
              names.size(),
              value),
          e);
    }
  }

  @Override
  public List<String> classes(String column) {
    return classes.getOrDefault(column, List.of());
  }

  private FormatException damaged(Exception e) {
    return new FormatException(
        "%s is no Parquet file or is damaged: %s".formatted(shards.get(shard), e.getMessage()), e);
  }

  @Override
  public Place place() {
    return new Place(shards.get(shard).toString(), line);
  }

  @Override
  public void close() throws IOException {
    if (file != null) {
      file.close();
    }
  }
}
