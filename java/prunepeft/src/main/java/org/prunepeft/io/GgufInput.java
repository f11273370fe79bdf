package org.prunepeft.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Reads a GGUF file's header from its beginning, and never asks for more than the file has. */
final class GgufInput {
  /** The largest vocabularies need some 10 MB. */
  private static final long MOST = 200_000_000;

  final Path file;
  final long size;
  private final FileChannel channel;
  private final ByteBuffer buffer =
      ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN).limit(0);

  /** Of the buffer's first byte in the file. */
  private long start;

  GgufInput(Path file, FileChannel channel) throws IOException {
    this.file = file;
    this.channel = channel;
    size = channel.size();
  }

  /** Of the next byte in the file. */
  long position() {
    return start + buffer.position();
  }

  int int8() throws IOException {
    return next(1).get();
  }

  int int16() throws IOException {
    return next(2).getShort();
  }

  int int32() throws IOException {
    return next(4).getInt();
  }

  long int64() throws IOException {
    return next(8).getLong();
  }

  /**
   * A number of things of which each takes at least so many bytes.
   *
   * @throws FormatException if the rest of the file is too short for that many
   */
  long count(String what, int bytesEach) throws IOException {
    long count = int64();
    long left = size - position();
    if (count < 0 || count > left / bytesEach) {
      throw bad(
          "it claims %s %s, and %d bytes are left; copy or convert it anew"
              .formatted(Long.toUnsignedString(count), what, left));
    }
    if (count > (MOST - position()) / bytesEach) {
      throw bad(
          "it has %d %s, and headers of more than %d bytes are not read; convert it without what makes it so long"
              .formatted(count, what, MOST));
    }
    return count;
  }

  String text(String what) throws IOException {
    var bytes = new byte[(int) count("bytes of " + what, 1)];
    for (int done = 0; done < bytes.length; ) {
      int part = Math.min(bytes.length - done, 1 << 15);
      next(part).get(bytes, done, part);
      done += part;
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw bad(what + " is not UTF-8");
    }
  }

  FormatException bad(String what) {
    return new FormatException("%s has a bad header: %s".formatted(file, what));
  }

  /** The buffer with at least so many bytes. */
  private ByteBuffer next(int bytes) throws IOException {
    if (buffer.remaining() < bytes) {
      start = position();
      if (size - start < bytes) {
        throw new FormatException(
            "%s is cut off: its header does not end within its %d bytes; copy it anew"
                .formatted(file, size));
      }
      buffer.clear().limit((int) Math.min(size - start, buffer.capacity()));
      TensorFile.readFully(channel, buffer, start, file);
      buffer.flip();
    }
    return buffer;
  }
}
