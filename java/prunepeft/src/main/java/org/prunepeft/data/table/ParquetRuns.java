package org.prunepeft.data.table;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.bytes.BytesUtils;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.column.page.DataPage;
import org.apache.parquet.column.page.DataPageV1;
import org.apache.parquet.column.page.DataPageV2;
import org.apache.parquet.column.page.DictionaryPage;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.prunepeft.io.FormatException;

/**
 * The pages of a row group, of which those are refused whose levels or values claim more than their
 * bytes can hold: runs of packed integers, and blocks of differences. Apache's reader allocates
 * what they claim before it reads anything.
 */
final class ParquetRuns implements PageReadStore {
  /** So many values may be claimed whatever there is. */
  private static final long HARMLESS = 100_000;

  /** Of differences: blocks of 2,048 equal ones, the longest in use, have some 200 a byte. */
  private static final long VALUES_A_BYTE = 1_000;

  private static final long LONGEST_BLOCK = 1_000_000;

  private final Path path;
  private final PageReadStore pages;

  /**
   * @param path of the file, for errors
   * @param pages of a row group of it
   */
  ParquetRuns(Path path, PageReadStore pages) {
    this.path = path;
    this.pages = pages;
  }

  @Override
  public long getRowCount() {
    return pages.getRowCount();
  }

  @Override
  public void close() {
    pages.close();
  }

  @Override
  public PageReader getPageReader(ColumnDescriptor column) {
    PageReader reader = pages.getPageReader(column);
    return new PageReader() {
      @Override
      public DictionaryPage readDictionaryPage() {
        return reader.readDictionaryPage();
      }

      @Override
      public long getTotalValueCount() {
        return reader.getTotalValueCount();
      }

      /**
       * @throws UncheckedIOException of a {@link FormatException} if it claims too much
       */
      @Override
      public DataPage readPage() {
        DataPage page = reader.readPage();
        return page == null ? null : checked(column, page);
      }
    };
  }

  private DataPage checked(ColumnDescriptor column, DataPage page) {
    try {
      return page instanceof DataPageV1 first
          ? requireHeld(column, first)
          : requireHeld(column, (DataPageV2) page);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private DataPage requireHeld(ColumnDescriptor column, DataPageV1 page) throws IOException {
    byte[] bytes = page.getBytes().toByteArray();
    int count = page.getValueCount();
    ByteBuffer rest = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    try {
      requireLevels(rest, page.getRlEncoding(), column.getMaxRepetitionLevel(), count);
      requireLevels(rest, page.getDlEncoding(), column.getMaxDefinitionLevel(), count);
      requireValues(rest, page.getValueEncoding(), column, count);
    } catch (BufferUnderflowException
        | IndexOutOfBoundsException
        | IllegalArgumentException
        | ArithmeticException e) {
      // It ends too early, which its reader says.
    }
    return new DataPageV1(
        BytesInput.from(bytes),
        count,
        page.getUncompressedSize(),
        page.getStatistics(),
        page.getRlEncoding(),
        page.getDlEncoding(),
        page.getValueEncoding());
  }

  private DataPage requireHeld(ColumnDescriptor column, DataPageV2 page) throws IOException {
    byte[] repetitions = page.getRepetitionLevels().toByteArray();
    byte[] definitions = page.getDefinitionLevels().toByteArray();
    byte[] data = page.getData().toByteArray();
    int count = page.getValueCount();
    try {
      requireRuns(ByteBuffer.wrap(repetitions), width(column.getMaxRepetitionLevel()), count);
      requireRuns(ByteBuffer.wrap(definitions), width(column.getMaxDefinitionLevel()), count);
      requireValues(
          ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN),
          page.getDataEncoding(),
          column,
          count);
    } catch (BufferUnderflowException
        | IndexOutOfBoundsException
        | IllegalArgumentException
        | ArithmeticException e) {
      // It ends too early, which its reader says.
    }
    return DataPageV2.uncompressed(
        page.getRowCount(),
        page.getNullCount(),
        count,
        BytesInput.from(repetitions),
        BytesInput.from(definitions),
        page.getDataEncoding(),
        BytesInput.from(data),
        page.getStatistics());
  }

  private static int width(int largest) {
    return BytesUtils.getWidthFromMaxInt(largest);
  }

  /** Those of a page's first version, with their length before them; goes on behind them. */
  private void requireLevels(ByteBuffer page, Encoding encoding, int largest, int count)
      throws FormatException {
    if (largest == 0) {
      return;
    }
    if (encoding == Encoding.RLE) {
      requireRuns(next(page, page.getInt()), width(largest), count);
    } else {
      next(page, (int) (((long) count * width(largest) + 7) / 8));
    }
  }

  private void requireValues(ByteBuffer page, Encoding encoding, ColumnDescriptor column, int count)
      throws FormatException {
    if (encoding.usesDictionary()) {
      int width = page.hasRemaining() ? page.get() : 0;
      if (width >= 0 && width <= Integer.SIZE) {
        requireRuns(page, width, count);
      }
    } else if (encoding == Encoding.RLE
        && column.getPrimitiveType().getPrimitiveTypeName() == PrimitiveTypeName.BOOLEAN) {
      requireRuns(next(page, page.getInt()), 1, count);
    } else if (encoding == Encoding.DELTA_BINARY_PACKED
        || encoding == Encoding.DELTA_LENGTH_BYTE_ARRAY) {
      requireDifferences(page);
    } else if (encoding == Encoding.DELTA_BYTE_ARRAY) {
      // The lengths of what is shared with the text before, then of what is not.
      requireDifferences(page);
      requireDifferences(page);
    }
  }

  /** The next bytes of a page, which goes on behind them. */
  private static ByteBuffer next(ByteBuffer page, int bytes) {
    ByteBuffer part = page.slice(page.position(), bytes).order(ByteOrder.LITTLE_ENDIAN);
    page.position(page.position() + bytes);
    return part;
  }

  /**
   * Runs of one value, and of values in groups of eight that have as many bytes as a value bits.
   */
  private void requireRuns(ByteBuffer runs, int width, int count) throws FormatException {
    for (long values = 0; values < count && runs.hasRemaining(); ) {
      long header = number(runs);
      long run = header >>> 1;
      long bytes = (width + 7) / 8;
      if ((header & 1) == 1) {
        // The last group may be cut off where its values end.
        require(run * 8, (long) runs.remaining() / Math.max(width, 1) * 8 + 8);
        bytes = Math.min(run * width, runs.remaining());
        run *= 8;
      }
      values += run;
      runs.position(Math.toIntExact(runs.position() + bytes));
    }
  }

  /** Blocks of differences; goes on behind them. */
  private void requireDifferences(ByteBuffer page) throws FormatException {
    long block = number(page);
    long parts = number(page);
    long values = number(page);
    number(page);
    if (block > LONGEST_BLOCK) {
      throw claims(block, LONGEST_BLOCK);
    }
    require(values, page.remaining() * VALUES_A_BYTE);
    long part = parts == 0 ? 0 : block / parts;
    if (part == 0) {
      throw new IllegalArgumentException("a part without values");
    }
    for (long read = 1; read < values; ) {
      number(page);
      ByteBuffer widths = next(page, (int) parts);
      for (long i = 0; i < parts && read < values; i++) {
        next(page, Math.toIntExact(widths.get() * part / 8));
        read += part;
      }
    }
  }

  /** Seven bits a byte, the lowest first, of which an int takes what it holds, as Apache's does. */
  private static long number(ByteBuffer bytes) {
    int number = 0;
    byte next = bytes.get();
    for (int shift = 0; ; shift += 7) {
      number |= (next & 0x7F) << shift;
      if (next >= 0) {
        return Integer.toUnsignedLong(number);
      }
      next = bytes.get();
    }
  }

  private void require(long claimed, long most) throws FormatException {
    if (claimed > Math.max(most, HARMLESS)) {
      throw claims(claimed, most);
    }
  }

  private FormatException claims(long claimed, long most) {
    return new FormatException(
        "%s is no Parquet file or is damaged: a page claims %d values in a row, its bytes hold at most %d"
            .formatted(path, claimed, most));
  }
}
