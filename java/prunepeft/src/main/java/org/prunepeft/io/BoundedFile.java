package org.prunepeft.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.Locale;

/** Reads small files whole; of a large one, or one without end such as a device, no more. */
public final class BoundedFile {
  private static final int FIRST = 8192;

  private BoundedFile() {}

  /**
   * {@return a file, as it was given}
   *
   * @param file may be a link to a file
   * @throws FormatException if it is a device, a FIFO or a socket, whose content may have no end or
   *     never come; names it
   * @throws IOException if it is absent
   */
  public static Path regular(Path file) throws IOException {
    if (Files.readAttributes(file, BasicFileAttributes.class).isOther()) {
      throw new FormatException(
          file + " is a device, a FIFO or a socket; put a regular file in its place");
    }
    return file;
  }

  /**
   * {@return what a file holds}
   *
   * @param file may be a FIFO
   * @param most bytes of such a file
   * @throws FormatException if it holds more; names the file and the bound
   * @throws IOException if it can't be read
   */
  public static byte[] read(Path file, int most) throws IOException {
    // What has no end, and what the system makes as it is read, has size 0.
    byte[] bytes = Files.size(file) > most ? null : beginning(file, most + 1);
    if (bytes == null || bytes.length > most) {
      throw new FormatException(
          String.format(
              Locale.ROOT,
              "%s has more than %,d bytes, the most that such a file may have; name another",
              file,
              most));
    }
    return bytes;
  }

  /**
   * {@return the text that a file holds, in UTF-8; what is none is replaced by �}
   *
   * @param file may be a FIFO
   * @param most bytes of such a file
   * @throws FormatException if it holds more; names the file and the bound
   * @throws IOException if it can't be read
   */
  public static String text(Path file, int most) throws IOException {
    return new String(read(file, most), StandardCharsets.UTF_8);
  }

  /**
   * {@return the first line of a text, without its end; what is no UTF-8 is replaced by �}
   *
   * @param file may be a FIFO; of a longer line than 8,192 bytes its beginning
   * @throws IOException if it can't be read
   */
  public static String firstLine(Path file) throws IOException {
    String text = new String(beginning(file, FIRST), StandardCharsets.UTF_8);
    return text.lines().findFirst().orElse("");
  }

  /**
   * {@return what a file holds, of a longer one its first bytes}
   *
   * @param file may be a FIFO
   * @param most bytes that are read; memory is taken as the file has them
   * @throws IOException if it can't be read
   */
  public static byte[] beginning(Path file, int most) throws IOException {
    byte[] bytes = new byte[Math.min(FIRST, most)];
    int length = 0;
    // Not by readNBytes, which from JDK 21 on asks for the position, which a FIFO has not.
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = 0; read >= 0 && length < most; length += Math.max(0, read)) {
        if (length == bytes.length) {
          bytes = Arrays.copyOf(bytes, (int) Math.min(2L * length, most));
        }
        read = in.read(bytes, length, bytes.length - length);
      }
    }
    return Arrays.copyOf(bytes, length);
  }
}
