package org.prunepeft.io;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.io.SafeTensors.TensorInfo;

/** An open file whose header was read and checked, and whose tensors are read by their places. */
abstract sealed class TensorFile implements Checkpoint permits SafeTensors, Gguf {
  static final int BUFFER = 1 << 20;

  private final Path file;
  private final FileChannel channel;
  private final long dataStart;
  private final Map<String, TensorInfo> entries;

  TensorFile(Path file, FileChannel channel, long dataStart, Map<String, TensorInfo> entries) {
    this.file = file;
    this.channel = channel;
    this.dataStart = dataStart;
    this.entries = Collections.unmodifiableMap(entries);
  }

  @Override
  public final String origin() {
    return file.toString();
  }

  @Override
  public final long[] shape(String name) {
    return entry(name).shape().clone();
  }

  /** The names of all tensors, in the order of the header. */
  @Override
  public final Set<String> names() {
    return entries.keySet();
  }

  /**
   * {@return what the header says of a tensor}
   *
   * @param name one of {@link #names}
   * @throws NoSuchElementException if there is no such tensor
   */
  public final TensorInfo entry(String name) {
    var entry = entries.get(name);
    if (entry == null) {
      throw new NoSuchElementException(
          "%s has no tensor %s among its %d".formatted(file, name, entries.size()));
    }
    return entry;
  }

  @Override
  public final Source source(String name) {
    TensorInfo entry = entry(name);
    return new Source() {
      @Override
      public StoredType dtype() {
        return entry.dtype();
      }

      @Override
      public long[] shape() {
        return entry.shape().clone();
      }

      @Override
      public void read(long offset, ByteBuffer target) throws IOException {
        TensorFile.this.read(name, offset, target);
      }
    };
  }

  /**
   * Reads a part of a tensor's bytes, as many as the buffer has room for.
   *
   * @param name one of {@link #names}
   * @param offset of the first byte, counted from the tensor's start
   * @param target filled from its position to its limit
   * @throws NoSuchElementException if there is no such tensor
   * @throws IndexOutOfBoundsException if the tensor has fewer bytes
   * @throws IOException if reading fails
   */
  public final void read(String name, long offset, ByteBuffer target) throws IOException {
    var entry = entry(name);
    if (offset < 0 || offset > entry.bytes() - target.remaining()) {
      throw new IndexOutOfBoundsException(
          "%s has %d bytes, can't read %d from %d on"
              .formatted(name, entry.bytes(), target.remaining(), offset));
    }
    readFully(channel, target, dataStart + entry.begin() + offset, file);
  }

  /**
   * Reads a tensor of any type.
   *
   * @param name one of {@link #names}
   * @return its bytes, little-endian
   * @throws NoSuchElementException if there is no such tensor
   * @throws IllegalArgumentException if it is larger than an array, 2 GiB; {@link #read} it in
   *     parts
   * @throws IOException if reading fails
   */
  public final byte[] bytes(String name) throws IOException {
    long length = entry(name).bytes();
    if (length > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "%s of %s doesn't fit into an array: %d elements".formatted(name, file, length));
    }
    var bytes = new byte[(int) length];
    read(name, 0, ByteBuffer.wrap(bytes));
    return bytes;
  }

  /**
   * {@inheritDoc}
   *
   * <p>float32 goes straight from the file to the target; other types pass through a small buffer.
   */
  @Override
  public final void readFloats(String name, long first, ByteBuffer target) throws IOException {
    var entry = entry(name);
    if (!entry.dtype().isFloat()) {
      throw new FormatException(
          "%s of %s has type %s, expected a floating-point type: F64, F32, F16, BF16 or F8"
              .formatted(name, file, entry.dtype()));
    }
    int width = entry.dtype().bits() / Byte.SIZE;
    long total = entry.bytes() / width;
    int count = target.remaining() / Float.BYTES;
    if (first < 0 || first > total - count) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on".formatted(name, total, count, first));
    }
    if (entry.dtype() == StoredType.F32 && ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN) {
      read(name, first * width, target);
      return;
    }
    // No more than is read: a file may have a tensor of one value for each 70 bytes.
    int room = (int) Math.min(BUFFER, (long) count * width);
    var buffer = ByteBuffer.allocate(room).order(ByteOrder.LITTLE_ENDIAN);
    while (target.hasRemaining()) {
      int part = Math.min(target.remaining() / Float.BYTES, BUFFER / width);
      read(name, first * width, buffer.clear().limit(part * width));
      FloatFormat.convert(entry.dtype(), buffer.flip(), target);
      first += part;
    }
  }

  @Override
  public final void close() throws IOException {
    channel.close();
  }

  /** Copies all of a tensor's bytes to where the channel stands. */
  static void copy(Source source, long bytes, ByteBuffer buffer, FileChannel channel)
      throws IOException {
    for (long from = 0; from < bytes; from += BUFFER) {
      buffer.clear().limit((int) Math.min(bytes - from, BUFFER));
      source.read(from, buffer);
      AtomicFile.writeFully(channel, buffer.flip());
    }
  }

  static void readFully(FileChannel channel, ByteBuffer target, long position, Path file)
      throws IOException {
    while (target.hasRemaining()) {
      int count = channel.read(target, position);
      if (count < 0) {
        throw new EOFException(file + " was cut off while it was read, at byte " + position);
      }
      position += count;
    }
  }
}
