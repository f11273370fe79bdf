package org.prunepeft.checkpoint;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/** An index of a TensorFlow checkpoint that has one block of any content, with its checksum. */
public final class TensorFlowIndex {
  private TensorFlowIndex() {}

  public static byte[] of(byte[] entries) {
    return of(entries, 1);
  }

  /** The same, of one that has the block so often. */
  public static byte[] of(byte[] entries, int times) {
    ByteBuffer index =
        ByteBuffer.allocate(entries.length + 120 + 20 * times).order(ByteOrder.LITTLE_ENDIAN);
    int size = block(index, entries);
    int at = index.position();
    byte[] handle = handle(0, size);
    ByteBuffer handles = ByteBuffer.allocate(times * (7 + handle.length));
    for (int i = 0; i < times; i++) {
      handles.put(new byte[] {0, 4, (byte) handle.length}).putInt(i).put(handle);
    }
    byte[] footer = handle(at, block(index, handles.array()));
    index.put(new byte[] {0, 0}).put(footer).put(new byte[38 - footer.length]);
    index.putLong(0xdb4775248b80fb57L);
    byte[] bytes = new byte[index.position()];
    index.flip().get(bytes);
    return bytes;
  }

  private static int block(ByteBuffer index, byte[] entries) {
    int from = index.position();
    index.put(entries).putInt(0).putInt(1).put((byte) 0);
    CRC32C crc = new CRC32C();
    crc.update(index.array(), from, entries.length + 9);
    index.putInt(Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8);
    return entries.length + 8;
  }

  private static byte[] handle(int... values) {
    ByteBuffer bytes = ByteBuffer.allocate(20);
    for (int value : values) {
      for (; value >= 0x80; value >>>= 7) {
        bytes.put((byte) (value | 0x80));
      }
      bytes.put((byte) value);
    }
    byte[] handle = new byte[bytes.position()];
    bytes.flip().get(handle);
    return handle;
  }
}
