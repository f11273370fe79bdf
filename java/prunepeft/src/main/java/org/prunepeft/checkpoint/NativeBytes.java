package org.prunepeft.checkpoint;

import com.google.protobuf.CodedInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.bytedeco.javacpp.BytePointer;

/**
 * Bytes outside of Java's heap, which would grow for them and keep the room. They are freed with
 * this, or when nobody holds it any more.
 */
final class NativeBytes implements AutoCloseable {
  /** Bytes that are read at once. */
  private static final int PIECE = 1 << 16;

  /** The most that is taken on a file's word that it will come. */
  private static final long MOST_ON_TRUST = 1 << 26;

  private BytePointer memory = new BytePointer();
  private long size;

  /** {@return how many there are} */
  long size() {
    return size;
  }

  /**
   * Reads bytes behind those that are here.
   *
   * @param count as the file has it
   * @throws IOException if it is negative or there are fewer, or reading fails
   */
  void read(CodedInputStream input, int count) throws IOException {
    int left = count;
    while (left != 0) {
      byte[] piece = input.readRawBytes(Math.min(left, PIECE));
      makeRoom(piece.length, left);
      memory.position(size).put(piece, 0, piece.length);
      size += piece.length;
      left -= piece.length;
    }
  }

  private void makeRoom(int needed, int expected) {
    if (size + needed <= memory.capacity()) {
      return;
    }
    long more = Math.max(needed, Math.min(expected, MOST_ON_TRUST));
    BytePointer larger = new BytePointer(Math.max(2 * memory.capacity(), size + more));
    try (BytePointer old = memory) {
      if (size > 0) {
        BytePointer.memcpy(larger, old.position(0), size);
      }
    }
    memory = larger;
  }

  /** {@return all of them; good until this is closed} */
  ByteBuffer buffer() {
    return size == 0 ? ByteBuffer.allocate(0) : memory.position(0).limit(size).asByteBuffer();
  }

  @Override
  public void close() {
    memory.close();
    size = 0;
  }
}
