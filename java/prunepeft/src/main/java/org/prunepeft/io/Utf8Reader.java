package org.prunepeft.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/**
 * Text in UTF-8, strictly: what is not valid, and a NUL, is refused with the line that it is in. A
 * byte order mark at the start is passed over.
 */
public final class Utf8Reader extends Reader {
  private static final char BYTE_ORDER_MARK = '\uFEFF';

  private final InputStream in;
  private final String name;
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT);
  private final ByteBuffer bytes = ByteBuffer.allocate(1 << 16).flip();
  private final CharBuffer chars = CharBuffer.allocate(1 << 16).flip();
  private long line = 1;
  private boolean begun;
  private boolean ended;

  /** Whether the first two bytes are the byte order mark of UTF-16. */
  private boolean utf16;

  /** Set when what comes next is refused, and what came before is not read yet. */
  private FormatException refusal;

  /**
   * Reads a stream, which it then owns.
   *
   * @param in closed with the reader
   * @param name of the stream in messages, such as a path
   */
  public Utf8Reader(InputStream in, String name) {
    this.in = in;
    this.name = name;
  }

  /**
   * @throws FormatException if the next bytes are not UTF-8, or a NUL
   */
  @Override
  public int read(char[] target, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    while (!chars.hasRemaining()) {
      if (refusal != null) {
        throw refusal;
      }
      if (ended) {
        return -1;
      }
      decode();
    }
    int count = Math.min(length, chars.remaining());
    chars.get(target, offset, count);
    return count;
  }

  private void decode() throws IOException {
    bytes.compact();
    int count = in.read(bytes.array(), bytes.position(), bytes.remaining());
    ended = count < 0;
    bytes.position(bytes.position() + Math.max(0, count)).flip();
    if (!begun && bytes.remaining() >= 2) {
      int mark = bytes.getShort(0) & 0xFFFF;
      utf16 = mark == 0xFEFF || mark == 0xFFFE;
    }
    chars.clear();
    CoderResult result = decoder.decode(bytes, chars, ended);
    chars.flip();
    if (!begun && chars.hasRemaining()) {
      begun = true;
      if (chars.get(0) == BYTE_ORDER_MARK) {
        chars.get();
      }
    }
    for (int i = chars.position(); i < chars.limit() && refusal == null; i++) {
      if (chars.get(i) == 0) {
        refusal =
            refused(
                "has a NUL; if it is UTF-16, convert it, for example with iconv -f UTF-16 -t UTF-8");
        chars.limit(i);
      } else if (chars.get(i) == '\n') {
        line++;
      }
    }
    if (result.isError() && refusal == null) {
      refusal =
          refused(
              "is not UTF-8 (byte 0x%02X); %s -t UTF-8"
                  .formatted(
                      bytes.get(bytes.position()),
                      utf16
                          ? "it begins as UTF-16 does: convert it, for example with iconv -f UTF-16"
                          : "convert it, for example with iconv -f ISO-8859-1"));
    }
  }

  private FormatException refused(String fault) {
    return new FormatException("%s, line %d: the text %s".formatted(name, line, fault));
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
