package org.prunepeft.cli;

import org.prunepeft.data.Columns;
import picocli.CommandLine.Option;

/** Which columns of a file hold texts and labels. */
final class ColumnOptions {
  @Option(
      names = {"--text-column", "--sentence1-key"},
      paramLabel = "COLUMN",
      description =
          "Column of the text, or of the first of two: its name, or its number from 1 (default: text, or the run's).")
  private String text;

  @Option(
      names = {"--text-pair-column", "--sentence2-key"},
      paramLabel = "COLUMN",
      description = "Column of the second text, for pairs.")
  private String pair;

  @Option(
      names = {"--label-column", "--label-column-name"},
      paramLabel = "COLUMN",
      description = "Column of the label, a word or a number (default: label, or the run's).")
  private String label;

  @Option(
      names = "--header",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Whether the first line of TSV and CSV files names the columns (default: true, or as the run's).")
  private Boolean header;

  /** These columns, with others in place of those that are not named. */
  Columns orElse(Columns others) {
    return new Columns(
        text == null ? others.text() : text,
        pair == null ? others.pair() : pair,
        label == null ? others.label() : label,
        header == null ? others.header() : header);
  }

  /** Names the columns that are not named. */
  Columns settle(Columns others) {
    Columns columns = orElse(others);
    text = columns.text();
    pair = columns.pair();
    label = columns.label();
    header = columns.header();
    return columns;
  }

  /** Whether a column of labels is named. */
  boolean labelled() {
    return label != null;
  }

  /** {@return the first option that is given; null if none is} */
  String firstNamed() {
    return text != null
        ? "--text-column"
        : pair != null
            ? "--text-pair-column"
            : label != null ? "--label-column" : header != null ? "--header" : null;
  }

  boolean named() {
    return text != null || pair != null || label != null || header != null;
  }
}
