package org.prunepeft.data.table;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.parquet.format.PageHeader;
import org.apache.parquet.format.Util;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.LocalInputFile;
import org.apache.parquet.io.SeekableInputStream;
import org.prunepeft.io.FormatException;

/**
 * The sizes that a Parquet file claims for a column and its pages, and how many rows and values.
 * Apache's reader allocates sizes before it reads anything; of equal values a page of some bytes
 * may have billions, each of which is read.
 */
final class ParquetPages {
  /** Some writers leave the header of the dictionary's page out of a column's size. */
  private static final long BEYOND = 1000;

  /** What a value takes in memory beside its bytes, at least. */
  private static final long BYTES_A_VALUE = 32;

  private ParquetPages() {}

  /**
   * Checks that column and pages lie in the file, and that a page may have the size that it is to
   * have when it is decompressed; that it has as many values as rows or more; and that the file may
   * hold so much.
   *
   * @param rows of the row group that it is in
   * @param held counts the pages' bytes and values; null if they are not read
   * @throws FormatException if not
   * @throws IOException if a page's header can't be read
   */
  static void require(Path path, ColumnChunkMetaData column, long rows, UnpackedSize held)
      throws IOException {
    // A row that has none has a null, or an empty list, which count too.
    if (rows < 0 || rows > column.getValueCount()) {
      throw new FormatException(
          "%s is no Parquet file or is damaged: a column is to have %d rows, of %d values"
              .formatted(path, rows, column.getValueCount()));
    }
    long size = Files.size(path);
    require(path, "column", column.getTotalSize(), size);
    try (SeekableInputStream in = new LocalInputFile(path).newStream()) {
      in.seek(column.getStartingPos());
      long end = column.getStartingPos() + column.getTotalSize() + BEYOND;
      for (long values = 0; values < column.getValueCount(); ) {
        if (in.getPos() > end) {
          throw new FormatException(
              "%s is no Parquet file or is damaged: a column's pages go beyond its %d bytes"
                  .formatted(path, column.getTotalSize()));
        }
        PageHeader page = Util.readPageHeader(in);
        require(path, "page", page.getCompressed_page_size(), size - in.getPos());
        requireGiven(path, column.getCodec(), page);
        int own = values(page);
        values += own;
        if (held != null) {
          held.add(page.getUncompressed_page_size() + BYTES_A_VALUE * Math.max(0, own));
        }
        if (page.isSetDictionary_page_header()) {
          require(
              path,
              "dictionary",
              page.getDictionary_page_header().getNum_values(),
              page.getUncompressed_page_size());
        }
        in.seek(in.getPos() + page.getCompressed_page_size());
      }
    }
  }

  /** Of a page of data; 0 of others. */
  private static int values(PageHeader page) {
    if (page.isSetData_page_header()) {
      return page.getData_page_header().getNum_values();
    }
    return page.isSetData_page_header_v2() ? page.getData_page_header_v2().getNum_values() : 0;
  }

  private static void requireGiven(Path path, CompressionCodecName codec, PageHeader page)
      throws FormatException {
    int claimed = page.getUncompressed_page_size();
    long most = ParquetCodecs.most(codec, page.getCompressed_page_size());
    if (claimed < 0 || claimed > most) {
      throw new FormatException(
          "%s is no Parquet file or is damaged: a page of %d bytes by %s is to become %d, at most %d are possible"
              .formatted(path, page.getCompressed_page_size(), codec, claimed, most));
    }
  }

  /** A value of a dictionary has a byte or more. */
  private static void require(Path path, String part, long claimed, long most)
      throws FormatException {
    if (claimed < 0 || claimed > most) {
      throw new FormatException(
          "%s is no Parquet file or is damaged: a %s is to have %d bytes or values, there are %d"
              .formatted(path, part, claimed, most));
    }
  }
}
