package org.prunepeft.data;

/**
 * Where an example is in a file.
 *
 * @param file by the name that the user knows it by
 * @param line in which its row begins, from 1; of Parquet the row's number
 */
public record Place(String file, long line) {
  /** {@return file and line, as errors begin} */
  @Override
  public String toString() {
    return "%s, line %d".formatted(file, line);
  }
}
