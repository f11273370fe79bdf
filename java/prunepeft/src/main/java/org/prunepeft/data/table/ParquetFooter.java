package org.prunepeft.data.table;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import org.prunepeft.io.FormatException;

/**
 * The lengths that the footer of a Parquet file claims for its lists and texts. Apache's reader
 * allocates a list's places before it reads one. The footer is a struct in Thrift's compact
 * protocol, before its length in four bytes and the letters PAR1.
 */
final class ParquetFooter {
  private static final int END = Integer.BYTES + 4;
  private static final int DEEPEST = 64;

  private final Path path;
  private final ByteBuffer bytes;

  private ParquetFooter(Path path, ByteBuffer bytes) {
    this.path = path;
    this.bytes = bytes;
  }

  /**
   * Checks that lists and texts may have the lengths that they are to have. A file without a footer
   * is left to Apache's reader.
   *
   * @throws FormatException if they may not
   * @throws IOException if reading fails
   */
  static void require(Path path) throws IOException {
    try (FileChannel file = FileChannel.open(path)) {
      long size = file.size();
      if (size < END) {
        return;
      }
      int length = read(file, size - END, END).order(ByteOrder.LITTLE_ENDIAN).getInt();
      if (length >= 0 && length <= size - END) {
        new ParquetFooter(path, read(file, size - END - length, length)).struct(0);
      }
    } catch (BufferUnderflowException e) {
      throw damaged(path, "its footer ends early");
    }
  }

  private static ByteBuffer read(FileChannel file, long from, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    while (bytes.hasRemaining() && file.read(bytes, from + bytes.position()) >= 0) {}
    return bytes.flip();
  }

  private void struct(int depth) throws FormatException {
    for (int field = bytes.get(); (field & 0xf) != 0; field = bytes.get()) {
      if ((field & 0xf0) == 0) {
        number(); // the field's, which else is that of the one before and the upper four bits
      }
      int type = field & 0xf;
      if (type > 2) { // of a truth value the type says all
        value(type, depth);
      }
    }
  }

  private void value(int type, int depth) throws FormatException {
    if (depth > DEEPEST) {
      throw damaged(path, "its footer is nested more than %d deep".formatted(DEEPEST));
    }
    switch (type) {
      case 1, 2, 3 -> skip(1);
      case 4, 5, 6 -> number();
      case 7 -> skip(Double.BYTES);
      case 8 -> skip(length("text", number()));
      case 9, 10 -> {
        int head = bytes.get() & 0xff;
        int count = length("list", head >>> 4 == 0xf ? number() : head >>> 4);
        for (int i = 0; i < count; i++) {
          value(head & 0xf, depth + 1);
        }
      }
      case 11 -> {
        int count = length("map", number());
        int types = count == 0 ? 0 : bytes.get() & 0xff;
        for (int i = 0; i < count; i++) {
          value(types >>> 4, depth + 1);
          value(types & 0xf, depth + 1);
        }
      }
      case 12 -> struct(depth + 1);
      default -> throw damaged(path, "its footer has a field of type %d".formatted(type));
    }
  }

  /** Each element has a byte or more. */
  private int length(String part, long claimed) throws FormatException {
    if (claimed < 0 || claimed > bytes.remaining()) {
      throw damaged(
          path,
          "a %s of its footer is to have %d elements, %d bytes are left"
              .formatted(part, claimed, bytes.remaining()));
    }
    return (int) claimed;
  }

  private void skip(int count) {
    if (count > bytes.remaining()) {
      throw new BufferUnderflowException();
    }
    bytes.position(bytes.position() + count);
  }

  /** Seven bits a byte, the lowest first; the last byte has no upper bit. */
  private long number() {
    long number = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte next = bytes.get();
      number |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        break;
      }
    }
    return number;
  }

  private static FormatException damaged(Path path, String what) {
    return new FormatException("%s is no Parquet file or is damaged: %s".formatted(path, what));
  }
}
