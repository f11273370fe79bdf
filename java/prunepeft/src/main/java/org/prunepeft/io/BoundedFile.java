package org.prunepeft.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/** Reads small files whole; of a large one, or one without end such as a device, no more. */
public final class BoundedFile {
  private static final int FIRST = 8192;

  private BoundedFile() {}

  /**
   * {@return what a file holds}
   *
   * @param file may be a FIFO
   * @param most bytes of such a file
   * @throws FormatException if it holds more; names the file and the bound
   * @throws IOException if it can't be read
   */
  public static byte[] read(Path file, int most) throws IOException {
    byte[] bytes = new byte[FIRST];
    int length = 0;
    // Not by readNBytes, which from JDK 21 on asks for the position, which a FIFO has not.
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = 0; read >= 0 && length <= most; length += Math.max(0, read)) {
        if (length == bytes.length) {
          bytes = Arrays.copyOf(bytes, 2 * length);
        }
        read = in.read(bytes, length, bytes.length - length);
      }
    }
    if (length > most) {
      throw new FormatException(
          String.format(
              Locale.ROOT,
              "%s has more than %,d bytes, the most that such a file may have; name another",
              file,
              most));
    }
    return Arrays.copyOf(bytes, length);
  }
}
