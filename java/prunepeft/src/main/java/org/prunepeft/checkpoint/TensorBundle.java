package org.prunepeft.checkpoint;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.WireFormat;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.prunepeft.io.FormatException;

/**
 * The float32 variables of a TensorFlow checkpoint (tensor bundle, V2 format) of one shard: {@code
 * variables.index} and {@code variables.data-00000-of-00001}.
 *
 * <p>The index is a table of LevelDB's format:
 *
 * <table>
 *   <caption>Layout</caption>
 *   <tr><th>part</th><th>content</th></tr>
 *   <tr><td>blocks</td><td>entries sorted by key, an array of restart offsets (uint32 each), their number
 *       (uint32); then a byte for the compression (0: none) and the masked CRC-32C of block and
 *       byte</td></tr>
 *   <tr><td>entry</td><td>varints: how many bytes the key shares with the one before, how many follow, how
 *       many the value has; then these bytes of key and value</td></tr>
 *   <tr><td>footer, 48 bytes</td><td>handles (varints: offset, size) of the meta index and of the index
 *       block, whose values are the handles of the data blocks; zeros; the magic number
 *       0xdb4775248b80fb57</td></tr>
 * </table>
 *
 * <p>The value of the key "" is a BundleHeaderProto (1 num_shards, 2 endianness: 0 is little), that
 * of a variable's name a BundleEntryProto (1 dtype: 1 is float32, 2 shape, 3 shard_id, 4 offset, 5
 * size, 6 masked CRC-32C of its bytes, 7 slices). All integers are little-endian.
 */
final class TensorBundle {
  private static final int FOOTER = 48;
  private static final int TRAILER = 5;
  private static final long MAGIC = 0xdb4775248b80fb57L;
  private static final int FLOAT32 = 1;

  /** Bytes of a name, most of which an entry of some bytes may share with the one before. */
  private static final int LONGEST_KEY = 500;

  /**
   * A variable.
   *
   * @param shape its sizes
   * @param offset of its first byte in the data
   */
  record StoredVariable(long[] shape, int offset) {}

  private record Handle(int offset, int size) {}

  private record KeyValue(String key, ByteBuffer value) {}

  private final ByteBuffer index;
  private final byte[] data;
  private final Map<String, StoredVariable> variables = new TreeMap<>();

  /** Bytes of blocks and of variables so far: what lies apart has no more than its file. */
  private long blockBytes;

  private long variableBytes;

  /**
   * @param index content of variables.index
   * @param data content of variables.data-00000-of-00001
   * @throws FormatException if they are no whole checkpoint of one shard, a checksum differs, or a
   *     float32 variable lies outside the data or has a size that is not that of its shape
   */
  TensorBundle(byte[] index, byte[] data) throws FormatException {
    this.index = ByteBuffer.wrap(index).order(ByteOrder.LITTLE_ENDIAN);
    this.data = data;
    try {
      read();
    } catch (BufferUnderflowException | InvalidProtocolBufferException e) {
      throw new FormatException("a block of the TensorFlow index is cut off", e);
    } catch (FormatException e) {
      throw e;
    } catch (IOException e) {
      throw new FormatException("the TensorFlow index is not understood: " + e.getMessage(), e);
    }
  }

  /** The float32 variables by name; those of other types, such as step counters, are left out. */
  Map<String, StoredVariable> variables() {
    return variables;
  }

  /** All variables' bytes, little-endian. */
  ByteBuffer data() {
    return ByteBuffer.wrap(data).asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  private void read() throws IOException {
    int end = index.capacity() - FOOTER;
    if (end < 0 || index.getLong(end + FOOTER - Long.BYTES) != MAGIC) {
      throw new FormatException(
          "no TensorFlow index: %d bytes without the magic number at their end"
              .formatted(index.capacity()));
    }
    ByteBuffer footer = index.slice(end, FOOTER).order(ByteOrder.LITTLE_ENDIAN);
    handle(footer);
    boolean header = false;
    for (KeyValue block : block(handle(footer))) {
      for (KeyValue pair : block(handle(block.value))) {
        if (pair.key.isEmpty()) {
          checkHeader(pair.value);
          header = true;
        } else {
          entry(pair.key, pair.value);
        }
      }
    }
    if (!header) {
      throw new FormatException("the TensorFlow index has no header");
    }
  }

  private static Handle handle(ByteBuffer bytes) throws FormatException {
    long offset = varint(bytes);
    long size = varint(bytes);
    if (offset < 0 || offset > Integer.MAX_VALUE || size < 0 || size > Integer.MAX_VALUE) {
      throw new FormatException(
          "a block of the TensorFlow index is said to have %s bytes at %s"
              .formatted(Long.toUnsignedString(size), Long.toUnsignedString(offset)));
    }
    return new Handle((int) offset, (int) size);
  }

  private List<KeyValue> block(Handle handle) throws FormatException {
    long end = (long) handle.offset + handle.size + TRAILER;
    if (end > index.capacity() - FOOTER || handle.size < Integer.BYTES) {
      throw new FormatException(
          "a block of the TensorFlow index lies at %d to %d of %d bytes"
              .formatted(handle.offset, end, index.capacity()));
    }
    ByteBuffer bytes =
        index.slice(handle.offset, handle.size + TRAILER).order(ByteOrder.LITTLE_ENDIAN);
    blockBytes += handle.size + TRAILER;
    if (blockBytes > index.capacity()) {
      throw new FormatException(
          "the blocks of the TensorFlow index have more than its %d bytes: some are the same"
              .formatted(index.capacity()));
    }
    if (bytes.get(handle.size) != 0) {
      throw new FormatException(
          "the TensorFlow index is compressed (type %d), which is not supported"
              .formatted(bytes.get(handle.size)));
    }
    requireChecksum(
        bytes.slice(0, handle.size + 1), bytes.getInt(handle.size + 1), "a block of the index");
    long entries =
        handle.size - Integer.BYTES * (1 + (bytes.getInt(handle.size - 4) & 0xffffffffL));
    if (entries < 0) {
      throw new FormatException("a block of the TensorFlow index has more restarts than bytes");
    }
    return pairs(bytes.slice(0, (int) entries));
  }

  private static List<KeyValue> pairs(ByteBuffer bytes) throws FormatException {
    List<KeyValue> pairs = new ArrayList<>();
    byte[] key = {};
    while (bytes.hasRemaining()) {
      long shared = varint(bytes);
      long own = varint(bytes);
      long length = varint(bytes);
      if (shared < 0
          || shared > key.length
          || own < 0
          || length < 0
          || own > bytes.remaining()
          || length > bytes.remaining() - own) {
        throw new FormatException(
            "an entry of the TensorFlow index is said to share %d bytes of its key and to have %d and %d more"
                .formatted(shared, own, length));
      }
      if (shared + own > LONGEST_KEY) {
        throw new FormatException(
            "a name of the TensorFlow index has %d bytes, the most is %d"
                .formatted(shared + own, LONGEST_KEY));
      }
      byte[] next = Arrays.copyOf(key, (int) (shared + own));
      bytes.get(next, (int) shared, (int) own);
      if (!pairs.isEmpty() && Arrays.compareUnsigned(key, next) >= 0) {
        throw new FormatException(
            "the TensorFlow index is not sorted at " + new String(next, StandardCharsets.UTF_8));
      }
      key = next;
      ByteBuffer value = bytes.slice(bytes.position(), (int) length);
      bytes.position(bytes.position() + (int) length);
      pairs.add(new KeyValue(new String(key, StandardCharsets.UTF_8), value));
    }
    return pairs;
  }

  private static long varint(ByteBuffer bytes) throws FormatException {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte next = bytes.get();
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw new FormatException("a number of the TensorFlow index has more than 64 bits");
  }

  private static void checkHeader(ByteBuffer value) throws IOException {
    CodedInputStream input = CodedInputStream.newInstance(value);
    long shards = 0;
    int endianness = 0;
    for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
      switch (WireFormat.getTagFieldNumber(tag)) {
        case 1 -> shards = input.readUInt64();
        case 2 -> endianness = input.readInt32();
        default -> input.skipField(tag);
      }
    }
    if (shards != 1 || endianness != 0) {
      throw new FormatException(
          "the TensorFlow checkpoint must have 1 shard and be little-endian (0), got %d and %d"
              .formatted(shards, endianness));
    }
  }

  private void entry(String name, ByteBuffer value) throws IOException {
    CodedInputStream input = CodedInputStream.newInstance(value);
    int dtype = 0;
    List<Long> shape = List.of();
    long shard = 0;
    long offset = 0;
    long size = 0;
    int checksum = 0;
    boolean sliced = false;
    for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
      switch (WireFormat.getTagFieldNumber(tag)) {
        case 1 -> dtype = input.readInt32();
        case 2 -> shape = shape(CodedInputStream.newInstance(input.readByteArray()));
        case 3 -> shard = input.readInt64();
        case 4 -> offset = input.readInt64();
        case 5 -> size = input.readInt64();
        case 6 -> checksum = input.readFixed32();
        default -> {
          sliced |= WireFormat.getTagFieldNumber(tag) == 7;
          input.skipField(tag);
        }
      }
    }
    if (dtype != FLOAT32) {
      return;
    }
    if (sliced || shard != 0) {
      throw new FormatException(
          "variable %s is %s; only whole variables in one shard are read"
              .formatted(name, sliced ? "cut into slices" : "in shard " + shard));
    }
    if (size != bytes(shape)) {
      throw new FormatException(
          "variable %s of shape %s has %d bytes".formatted(name, shape, size));
    }
    if (offset < 0 || offset > data.length - size) {
      throw new FormatException(
          "variable %s has %d bytes at %d, beyond the %d bytes of data"
              .formatted(name, size, offset, data.length));
    }
    variableBytes += size;
    if (variableBytes > data.length) {
      throw new FormatException(
          "the variables up to %s have more than the %d bytes of data: some are the same"
              .formatted(name, data.length));
    }
    requireChecksum(ByteBuffer.wrap(data, (int) offset, (int) size), checksum, name);
    variables.put(
        name,
        new StoredVariable(shape.stream().mapToLong(Long::longValue).toArray(), (int) offset));
  }

  /** TensorShapeProto: 2 dim, of which 1 is the size. */
  private static List<Long> shape(CodedInputStream input) throws IOException {
    List<Long> sizes = new ArrayList<>();
    for (int tag = input.readTag(); tag != 0; tag = input.readTag()) {
      if (WireFormat.getTagFieldNumber(tag) != 2) {
        input.skipField(tag);
        continue;
      }
      CodedInputStream dimension = CodedInputStream.newInstance(input.readByteArray());
      long size = 0;
      for (int own = dimension.readTag(); own != 0; own = dimension.readTag()) {
        if (WireFormat.getTagFieldNumber(own) == 1) {
          size = dimension.readInt64();
        } else {
          dimension.skipField(own);
        }
      }
      sizes.add(size);
    }
    return sizes;
  }

  /** -1 if no variable can have that shape. */
  private static long bytes(List<Long> shape) {
    long bytes = Float.BYTES;
    for (long size : shape) {
      if (size < 0 || Math.multiplyHigh(bytes, size) != 0 || bytes * size < 0) {
        return -1;
      }
      bytes *= size;
    }
    return bytes;
  }

  private static void requireChecksum(ByteBuffer bytes, int masked, String what)
      throws FormatException {
    CRC32C crc = new CRC32C();
    crc.update(bytes);
    int actual = Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    if (actual != masked) {
      throw new FormatException(
          "the TensorFlow checkpoint is damaged: %s has checksum %08x, expected %08x"
              .formatted(what, actual, masked));
    }
  }
}
