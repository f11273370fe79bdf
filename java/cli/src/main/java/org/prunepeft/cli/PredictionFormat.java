package org.prunepeft.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.prunepeft.data.table.TableFormat;

/** How predictions are written, a line each. */
enum PredictionFormat {
  /** A head line, then cells between tabs; tabs and line breaks in them are \t and \n. */
  TSV {
    @Override
    void begin(Writer out, List<String> columns) throws IOException {
      out.write(tsv(columns));
    }

    @Override
    void write(Writer out, PredictionRow row) throws IOException {
      out.write(tsv(row.cells()));
    }
  },

  /** A head line, then cells between commas, quoted where they have to be (RFC 4180). */
  CSV {
    @Override
    void begin(Writer out, List<String> columns) throws IOException {
      out.write(Table.csv(columns));
    }

    @Override
    void write(Writer out, PredictionRow row) throws IOException {
      out.write(Table.csv(row.cells()));
    }
  },

  /** Objects. */
  JSONL {
    @Override
    void begin(Writer out, List<String> columns) {}

    @Override
    void write(Writer out, PredictionRow row) throws IOException {
      out.write(JSON.writeValueAsString(row.members()) + "\n");
    }
  };

  private static final JsonMapper JSON = new JsonMapper();

  /** What comes before the first prediction. */
  abstract void begin(Writer out, List<String> columns) throws IOException;

  /** One prediction. */
  abstract void write(Writer out, PredictionRow row) throws IOException;

  /**
   * The format that goes with a file's name; null: the standard output.
   *
   * @throws IllegalArgumentException if it is that of Parquet, or of a packed file
   */
  static PredictionFormat of(Path output) {
    if (output != null && TableFormat.isGzip(output)) {
      throw new IllegalArgumentException(
          "predictions are not packed; name a file without .gz, got " + output);
    }
    TableFormat format =
        output == null ? TableFormat.TSV : TableFormat.of(output).orElse(TableFormat.TSV);
    return switch (format) {
      case TSV -> TSV;
      case CSV -> CSV;
      case JSONL -> JSONL;
      case PARQUET ->
          throw new IllegalArgumentException(
              "predictions are written as .tsv, .csv or .jsonl, not as Parquet: " + output);
    };
  }

  private static String tsv(List<String> cells) {
    return cells.stream()
        .map(PredictionFormat::escaped)
        .collect(Collectors.joining("\t", "", "\n"));
  }

  private static String escaped(String cell) {
    return cell.replace("\\", "\\\\")
        .replace("\t", "\\t")
        .replace("\n", "\\n")
        .replace("\r", "\\r");
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
