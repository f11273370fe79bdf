package org.prunepeft.data.table;

import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.prunepeft.io.FormatException;

/**
 * What a file holds that gzip packed; what is no such file, ends early or holds more than an {@link
 * UnpackedSize} is refused by name.
 */
final class GzipFile extends InputStream {
  /** Bytes that are read at once. */
  private static final int BUFFER = 1 << 16;

  private final Path file;
  private final InputStream packed;
  private final UnpackedSize size;
  private InputStream content;

  GzipFile(Path file) throws IOException {
    this.file = file;
    // Of a pipe it is 0, and known by what has been read of it.
    size = new UnpackedSize(file.toString(), Files.size(file), "unpack it, as with gunzip");
    packed = new Counted(Files.newInputStream(file), size);
  }

  /** Says how much of a file has been read. */
  private static final class Counted extends FilterInputStream {
    private final UnpackedSize size;
    private long count;

    Counted(InputStream in, UnpackedSize size) {
      super(in);
      this.size = size;
    }

    @Override
    public int read() throws IOException {
      int one = super.read();
      add(one < 0 ? 0 : 1);
      return one;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      int read = super.read(target, offset, length);
      add(Math.max(0, read));
      return read;
    }

    private void add(int bytes) {
      count += bytes;
      size.read(count);
    }
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    try {
      if (content == null) {
        content = new GZIPInputStream(packed, BUFFER);
      }
      int read = content.read(target, offset, length);
      size.add(Math.max(0, read));
      return read;
    } catch (ZipException | EOFException e) {
      String reason = e instanceof EOFException ? "it ends early" : e.getMessage();
      throw new FormatException("%s is no gzip file or is damaged: %s".formatted(file, reason), e);
    }
  }

  @Override
  public void close() throws IOException {
    packed.close();
    if (content != null) {
      content.close();
    }
  }
}
