package org.prunepeft.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.convert.GroupRecordConverter;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.ColumnIOFactory;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.RecordReader;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.Type;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.Spelling;

/**
 * Columns of a Parquet file: texts, numbers and truth values. Of a set of shards, {@code
 * train-00000-of-00003.parquet} as Hugging Face's hub has them, the first stands for all. Rows
 * count as lines.
 */
final class ParquetTable implements TableReader {
  private static final Pattern SHARD = Pattern.compile("(.*-)(\\d{5})(-of-)(\\d{5})(\\.parquet)");

  /** Those that need no class of Hadoop's. */
  private static final Set<CompressionCodecName> CODECS =
      EnumSet.of(
          CompressionCodecName.UNCOMPRESSED,
          CompressionCodecName.SNAPPY,
          CompressionCodecName.ZSTD,
          CompressionCodecName.LZ4_RAW);

  static {
    // Read from the class path; module-info tells why.
    ClassLoader loader = ParquetTable.class.getClassLoader();
    ParquetTable.class.getModule().addReads(loader.getUnnamedModule());
  }

  private final List<String> columns;
  private final List<Path> shards;
  private int shard;
  private ParquetFileReader file;
  private MessageType schema;
  private RecordReader<Group> rows;
  private long left;
  private long line;

  /**
   * @throws FormatException if it is no Parquet file, or a shard is missing
   * @throws IllegalArgumentException if a column is not there or holds something else
   * @throws IOException if reading fails
   */
  ParquetTable(Path file, List<String> columns) throws IOException {
    this.columns = List.copyOf(columns);
    shards = shards(file);
    open();
  }

  /** The file, or it and those of its set. */
  static List<Path> shards(Path first) throws IOException {
    Matcher name = SHARD.matcher(first.getFileName().toString());
    if (!name.matches()) {
      return List.of(first);
    }
    if (Integer.parseInt(name.group(2)) != 0) {
      throw new IllegalArgumentException(
          "%s is one shard of several; name the first, %s00000-of-%s%s, and all are read"
              .formatted(first, name.group(1), name.group(4), name.group(5)));
    }
    List<Path> shards = new ArrayList<>();
    for (int i = 0; i < Math.max(1, Integer.parseInt(name.group(4))); i++) {
      Path shard =
          first.resolveSibling(
              "%s%05d-of-%s%s".formatted(name.group(1), i, name.group(4), name.group(5)));
      if (i > 0 && !Files.exists(shard)) {
        throw new FormatException(
            "%s is missing; %s says that there are %d shards"
                .formatted(shard, first, Integer.parseInt(name.group(4))));
      }
      shards.add(shard);
    }
    return shards;
  }

  private void open() throws IOException {
    Path path = shards.get(shard);
    try {
      file = ParquetFileReader.open(new LocalInputFile(path));
      requireCodecs(path);
      MessageType whole = file.getFooter().getFileMetaData().getSchema();
      List<Type> wanted = new ArrayList<>();
      for (String column : columns) {
        wanted.add(column(path, whole, column));
      }
      schema = new MessageType(whole.getName(), wanted);
      file.setRequestedSchema(schema);
    } catch (NoSuchFileException | IllegalArgumentException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      throw damaged(e);
    }
  }

  private void requireCodecs(Path path) {
    for (BlockMetaData block : file.getRowGroups()) {
      for (ColumnChunkMetaData chunk : block.getColumns()) {
        if (!CODECS.contains(chunk.getCodec())) {
          throw new IllegalArgumentException(
              "%s is compressed by %s; write it with one of %s"
                  .formatted(path, chunk.getCodec(), CODECS));
        }
      }
    }
  }

  private static Type column(Path path, MessageType whole, String name) {
    if (!whole.containsField(name)) {
      throw new IllegalArgumentException(
          "%s: %s"
              .formatted(
                  path,
                  Spelling.unknown(
                      "column", name, whole.getFields().stream().map(Type::getName).toList())));
    }
    Type type = whole.getType(name);
    if (!readable(type)) {
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
  public List<String> next() throws IOException {
    Group row;
    try {
      while (left == 0) {
        PageReadStore pages = file.readNextRowGroup();
        if (pages != null) {
          left = pages.getRowCount();
          rows =
              new ColumnIOFactory()
                  .getColumnIO(schema)
                  .getRecordReader(pages, new GroupRecordConverter(schema));
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
      row = rows.read();
    } catch (FormatException e) {
      throw e;
    } catch (IOException | RuntimeException e) {
      throw damaged(e);
    }
    List<String> cells = new ArrayList<>();
    for (int i = 0; i < columns.size(); i++) {
      cells.add(cell(row, i));
    }
    return cells;
  }

  private String cell(Group row, int column) throws FormatException {
    if (row.getFieldRepetitionCount(column) == 0) {
      throw new DataException(
          "%s, line %d: '%s' must be a text or a number, got null"
              .formatted(shards.get(shard), line, columns.get(column)));
    }
    PrimitiveType type = schema.getType(column).asPrimitiveType();
    if (type.getPrimitiveTypeName() != PrimitiveType.PrimitiveTypeName.BINARY) {
      return row.getValueToString(column, 0);
    }
    ByteBuffer bytes = row.getBinary(column, 0).toByteBuffer();
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new FormatException(
          "%s, line %d: '%s' is not UTF-8".formatted(shards.get(shard), line, columns.get(column)),
          e);
    }
  }

  private FormatException damaged(Exception e) {
    return new FormatException(
        "%s is no Parquet file or is damaged: %s".formatted(shards.get(shard), e.getMessage()), e);
  }

  @Override
  public long line() {
    return line;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
