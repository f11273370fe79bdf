package org.prunepeft.files;

/**
 * What a file that is appended to held once, as far as it can be told later.
 *
 * @param bytes its length
 * @param crc32c of its content, 8 hexadecimal digits; null: it was not kept
 */
public record Appended(long bytes, String crc32c) {
  /** Nothing, or no such file. */
  public static final Appended NOTHING = new Appended(0, new Crc32c().hex());
}
