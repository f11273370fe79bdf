package org.prunepeft.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.Uninterrupted;

/** The CRC-32C of a file's first bytes, which goes on where bytes are appended to them. */
final class Crc32c {
  private static final int BUFFER = 1 << 20;

  private final CRC32C crc = new CRC32C();
  private long bytes;

  /** {@return that of a whole file} */
  static Crc32c of(Path file) throws IOException {
    try {
      return of(file, Files.size(file));
    } catch (NoSuchFileException e) {
      throw new NoSuchFileException(file + " does not exist");
    }
  }

  /**
   * {@return that of a file's first bytes}
   *
   * @param bytes how many; of a shorter file all
   */
  static Crc32c of(Path file, long bytes) throws IOException {
    Crc32c sum = new Crc32c();
    ByteBuffer buffer = ByteBuffer.allocateDirect((int) Math.max(1, Math.min(BUFFER, bytes)));
    Uninterrupted.run(
        () -> {
          sum.crc.reset();
          sum.bytes = 0;
          try (FileChannel channel =
              FileChannel.open(BoundedFile.regular(file), StandardOpenOption.READ)) {
            while (sum.bytes < bytes
                && channel.read(
                        buffer.clear().limit((int) Math.min(buffer.capacity(), bytes - sum.bytes)))
                    >= 0) {
              sum.add(buffer.flip());
            }
          }
        });
    return sum;
  }

  private void add(ByteBuffer more) {
    bytes += more.remaining();
    crc.update(more);
  }

  /** Goes on with bytes that were appended. */
  void add(byte[] more) {
    add(ByteBuffer.wrap(more));
  }

  /** {@return of how many bytes it is} */
  long bytes() {
    return bytes;
  }

  /** {@return 8 hexadecimal digits} */
  String hex() {
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }
}
