package org.prunepeft.data;

import java.util.Locale;

/**
 * Where an example is in a file.
 *
 * @param file by the name that the user knows it by
 * @param line in which its row begins, from 1; of Parquet the row's number
 */
public record Place(String file, long line) {
  /** {@return file and line, or row of Parquet, as errors begin} */
  @Override
  public String toString() {
    boolean parquet = file.toLowerCase(Locale.ROOT).endsWith(".parquet");
    return "%s, %s %d".formatted(file, parquet ? "row" : "line", line);
  }
}
