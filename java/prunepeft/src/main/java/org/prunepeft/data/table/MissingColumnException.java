package org.prunepeft.data.table;

import java.util.List;
import java.util.stream.Collectors;
import org.prunepeft.data.Columns;
import org.prunepeft.text.Spelling;

/** A column that is asked for and is not there; its message names those that are. */
public final class MissingColumnException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  private static final int MOST_NAMED = 50;

  private final String column;

  private MissingColumnException(String message, String column) {
    super(message);
    this.column = column;
  }

  /**
   * {@return of a table whose first line names its columns}
   *
   * @param column that is asked for
   * @param there the names of that line, 1 or more
   * @param separator what the file's name says is between cells
   */
  static MissingColumnException of(String file, String column, List<String> there, char separator) {
    String only = there.size() == 1 ? there.get(0) : "";
    String remedy =
        only.indexOf(';') >= 0
            ? "cells seem to be between semicolons; save the file with commas"
            : separator != '\t' && only.indexOf('\t') >= 0
                ? "cells seem to be between tabs; rename the file to end in .tsv"
                : separator != ',' && only.indexOf(',') >= 0
                    ? "cells seem to be between commas; rename the file to end in .csv"
                    : null;
    String quoted =
        there.stream()
                .limit(MOST_NAMED)
                .map(name -> "'" + name + "'")
                .collect(Collectors.joining(", "))
            + (there.size() > MOST_NAMED ? ", ..." : "");
    return new MissingColumnException(
        remedy != null
            ? "%s has one column, '%s': %s".formatted(file, only, remedy)
            : "%s: unknown column '%s'; %s %s (or their numbers, 1 to %d); if the first line is an example already, say --header=false"
                .formatted(
                    file,
                    column,
                    Spelling.nearest(column, there)
                        .map(name -> "did you mean '" + name + "'? Known are")
                        .orElse("known are"),
                    quoted,
                    there.size()),
        remedy != null ? null : column);
  }

  /** {@return the same with the option that names the column} */
  MissingColumnException withOption(Columns columns) {
    return column == null
        ? this
        : new MissingColumnException(
            "%s; %s names the column of the %s"
                .formatted(
                    getMessage(),
                    column.equals(columns.text())
                        ? "--text-column"
                        : column.equals(columns.pair()) ? "--text-pair-column" : "--label-column",
                    column.equals(columns.text())
                        ? "text"
                        : column.equals(columns.pair()) ? "second text" : "label"),
            column);
  }
}
