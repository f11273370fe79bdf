package org.prunepeft.data.table;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** How a file of examples is written. */
public enum TableFormat {
  /**
   * Cells between tabs, a row a line. A quotation mark is a character as any other, as in GLUE's
   * files, so a cell can hold no tab and no line break.
   */
  TSV(".tsv", ".tab"),
  /** Cells between commas; one with commas, line breaks or quotation marks is quoted (RFC 4180). */
  CSV(".csv"),
  /** A JSON object a line. */
  JSONL(".jsonl", ".ndjson", ".json"),
  /** Apache Parquet, as Hugging Face's hub keeps data sets. */
  PARQUET(".parquet");

  private final List<String> endings;

  TableFormat(String... endings) {
    this.endings = List.of(endings);
  }

  /**
   * {@return the format that goes with a file's name; empty if none does}
   *
   * @param file which need not be there
   */
  public static Optional<TableFormat> of(Path file) {
    String name = file.toString().toLowerCase(Locale.ROOT);
    for (TableFormat format : values()) {
      if (format.endings.stream().anyMatch(name::endsWith)) {
        return Optional.of(format);
      }
    }
    return Optional.empty();
  }

  /**
   * {@return whether its values are cells, which are texts alone, and its columns have numbers
   * beside their names}
   */
  public boolean isDelimited() {
    return this == TSV || this == CSV;
  }

  /**
   * A reader of some columns.
   *
   * @param optional those of the columns that need not be there: their cells are empty then
   * @param lenient whether rows of a table that are too short are left out
   */
  TableReader reader(
      Reader in,
      String name,
      List<String> columns,
      Set<String> optional,
      boolean header,
      boolean lenient)
      throws IOException {
    return switch (this) {
      case TSV -> new DelimitedReader(in, name, '\t', columns, optional, header, lenient);
      case CSV -> new DelimitedReader(in, name, ',', columns, optional, header, lenient);
      case JSONL -> new JsonLinesReader(in, name, columns, optional);
      case PARQUET -> throw new IllegalArgumentException("Parquet is no text");
    };
  }
}
