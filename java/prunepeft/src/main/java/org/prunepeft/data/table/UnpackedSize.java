package org.prunepeft.data.table;

import java.util.Locale;
import org.prunepeft.io.FormatException;

/**
 * How much a packed file may hold: so many times its own bytes, which texts never are, or a number
 * of bytes that any file may hold. What its format allows is many times that.
 */
final class UnpackedSize {
  /** Texts are packed to a twentieth at most, tables of the same words again and again to less. */
  private static final int TIMES = 200;

  /** Whatever the file's size is. */
  private static final long ANY_FILE = 10_000_000;

  private final String name;
  private final String remedy;
  private long packed;
  private long unpacked;

  /**
   * Of a file of which nothing has been unpacked.
   *
   * @param name of the file, for errors
   * @param packed bytes of the file; 0 if they are not known before it is read
   * @param remedy what to do with a file that holds more rightly, as a clause
   */
  UnpackedSize(String name, long packed, String remedy) {
    this.name = name;
    this.packed = packed;
    this.remedy = remedy;
  }

  /** Says that so many bytes of the file have been read. */
  void read(long bytes) {
    packed = Math.max(packed, bytes);
  }

  /**
   * Counts what is unpacked, or is to be.
   *
   * @param bytes 0 or more
   * @throws FormatException if that is more than the file may hold
   */
  void add(long bytes) throws FormatException {
    long most = Math.max(ANY_FILE, TIMES * packed);
    if (bytes > most - unpacked) {
      throw new FormatException(
          String.format(
              Locale.ROOT,
              "%s has %,d bytes and holds more than %,d, which is more than texts are packed to; if it is sound, %s",
              name,
              packed,
              most,
              remedy));
    }
    unpacked += bytes;
  }
}
