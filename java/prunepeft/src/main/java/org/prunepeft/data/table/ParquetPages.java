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
 * The sizes that a Parquet file claims for a column and its pages. Apache's reader allocates them
 * before it reads anything.
 */
final class ParquetPages {
  /** Some writers leave the header of the dictionary's page out of a column's size. */
  private static final long BEYOND = 1000;

  private ParquetPages() {}

  /**
   * Checks that column and pages lie in the file, and that a page may have the size that it is to
   * have when it is decompressed.
   *
   * @throws FormatException if not
   * @throws IOException if a page's header can't be read
   */
  static void require(Path path, ColumnChunkMetaData column) throws IOException {
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
        if (page.isSetData_page_header()) {
          values += page.getData_page_header().getNum_values();
        } else if (page.isSetData_page_header_v2()) {
          values += page.getData_page_header_v2().getNum_values();
        } else if (page.isSetDictionary_page_header()) {
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
