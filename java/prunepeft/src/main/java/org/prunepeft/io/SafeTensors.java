package org.prunepeft.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.LongStream;

/**
 * Tensors in a file of the safetensors format, as Hugging Face's libraries write and read it.
 *
 * <table>
 *   <caption>Layout</caption>
 *   <tr><th>bytes</th><th>content</th></tr>
 *   <tr><td>0 to 7</td><td>h, the length of the header in bytes: unsigned, little-endian, at most
 *       100,000,000</td></tr>
 *   <tr><td>8 to 7+h</td><td>the header: a JSON object in UTF-8 that begins with <code>{</code> and
 *       may end in spaces</td></tr>
 *   <tr><td>8+h to the end</td><td>the values of all tensors without gap or overlap, in any
 *       order</td></tr>
 * </table>
 *
 * <p>The header has a member for each tensor, <code>
 * "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}</code>, with the offsets of
 * its first byte and of the byte behind its last, counted from 8+h. The member {@code __metadata__}
 * maps strings to strings. Values are little-endian and row-major; a tensor of shape [] has one
 * value.
 *
 * <table>
 *   <caption>Element types</caption>
 *   <tr><th>dtype</th><th>bits</th><th>as float</th></tr>
 *   <tr><td>F64</td><td>64</td><td>rounded to nearest</td></tr>
 *   <tr><td>F32</td><td>32</td><td>exact</td></tr>
 *   <tr><td>F16, BF16</td><td>16</td><td>exact</td></tr>
 *   <tr><td>F8_E4M3, F8_E5M2, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ</td><td>8</td><td>exact</td></tr>
 *   <tr><td>I64, U64, C64</td><td>64</td><td>no; as bytes</td></tr>
 *   <tr><td>I32, U32</td><td>32</td><td>no; as bytes</td></tr>
 *   <tr><td>I16, U16</td><td>16</td><td>no; as bytes</td></tr>
 *   <tr><td>I8, U8, BOOL</td><td>8</td><td>no; as bytes</td></tr>
 *   <tr><td>F6_E2M3, F6_E3M2</td><td>6</td><td>no; as bytes</td></tr>
 *   <tr><td>F4</td><td>4</td><td>no; as bytes</td></tr>
 * </table>
 *
 * <p>An open file can be read from several threads at once.
 */
public final class SafeTensors extends TensorFile {
  private static final int MAX_HEADER = 100_000_000;
  private static final Map<String, String> PYTORCH = Map.of("format", "pt");

  /** The type of a tensor's elements. */
  public enum StoredType {
    /** A truth value in a byte. */
    BOOL(8),
    /** Unsigned. */
    U8(8),
    /** Signed. */
    I8(8),
    /** 5 bits of exponent, 2 of fraction. */
    F8_E5M2(8),
    /** 4 bits of exponent, 3 of fraction; no infinities. */
    F8_E4M3(8),
    /** A power of two: 8 bits of exponent. */
    F8_E8M0(8),
    /** 4 bits of exponent, 3 of fraction; no infinities, no negative zero. */
    F8_E4M3FNUZ(8),
    /** 5 bits of exponent, 2 of fraction; no infinities, no negative zero. */
    F8_E5M2FNUZ(8),
    /** 4 bits: 2 of exponent, 1 of fraction. */
    F4(4),
    /** 6 bits: 2 of exponent, 3 of fraction. */
    F6_E2M3(6),
    /** 6 bits: 3 of exponent, 2 of fraction. */
    F6_E3M2(6),
    /** Signed. */
    I16(16),
    /** Unsigned. */
    U16(16),
    /** IEEE 754 half precision. */
    F16(16),
    /** The upper half of a float32. */
    BF16(16),
    /** Signed. */
    I32(32),
    /** Unsigned. */
    U32(32),
    /** IEEE 754 single precision. */
    F32(32),
    /** A complex number of two float32. */
    C64(64),
    /** IEEE 754 double precision. */
    F64(64),
    /** Signed. */
    I64(64),
    /** Unsigned. */
    U64(64);

    private final int bits;

    StoredType(int bits) {
      this.bits = bits;
    }

    /** {@return the size of an element in bits} */
    public int bits() {
      return bits;
    }

    /** {@return whether elements are floating-point numbers of whole bytes} */
    public boolean isFloat() {
      return switch (this) {
        case F64, F32, F16, BF16, F8_E5M2, F8_E4M3, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ -> true;
        default -> false;
      };
    }
  }

  /**
   * A float32 tensor to write.
   *
   * @param shape sizes, each at least 0; [] for a single value
   * @param values row-major, as many as the product of the sizes; not copied
   */
  public record Tensor(long[] shape, float[] values) {
    /**
     * Checks that shape and values agree.
     *
     * @throws IllegalArgumentException if they don't
     */
    public Tensor {
      long count = 1;
      for (long size : shape) {
        if (size < 0) {
          throw new IllegalArgumentException("negative size in shape " + Arrays.toString(shape));
        }
        count = Math.multiplyExact(count, size);
      }
      if (count != values.length) {
        throw new IllegalArgumentException(
            "shape %s needs %d values, got %d"
                .formatted(Arrays.toString(shape), count, values.length));
      }
    }
  }

  /** A tensor to write, whose bytes are taken in parts. */
  public interface Source {
    /** {@return the type of its elements} */
    StoredType dtype();

    /** {@return its sizes; [] for a single value} */
    long[] shape();

    /** {@return its size in bits} */
    default long bits() {
      return LongStream.of(shape()).reduce(dtype().bits(), Math::multiplyExact);
    }

    /**
     * Takes a part of its bytes, little-endian and row-major.
     *
     * @param offset of the first byte, a multiple of 8
     * @param target is filled; its byte order is little-endian
     * @throws IOException if reading fails
     */
    void read(long offset, ByteBuffer target) throws IOException;
  }

  /**
   * What the header says of a tensor.
   *
   * @param dtype the type of its elements
   * @param shape its sizes; [] for a single value
   * @param begin the offset of its first byte in the data section
   * @param end the offset of the byte behind its last
   */
  public record TensorInfo(StoredType dtype, long[] shape, long begin, long end) {
    /** {@return its size in bytes} */
    public long bytes() {
      return end - begin;
    }
  }

  private final Map<String, String> metadata;

  private SafeTensors(Path file, FileChannel channel, long dataStart, SafeTensorsHeader header) {
    super(file, channel, dataStart, header.entries);
    this.metadata = header.metadata;
  }

  /**
   * Writes float32 tensors with the metadata <code>{"format": "pt"}</code>, as {@link #write(Path,
   * Map, Map)} does.
   *
   * @param file where to
   * @param tensors by name
   * @throws IllegalArgumentException if a tensor is named {@code __metadata__}
   * @throws IOException if writing fails; a file that was there before is then as it was
   */
  public static void write(Path file, Map<String, Tensor> tensors) throws IOException {
    write(file, new MapCheckpoint("memory", tensors));
  }

  /**
   * Writes all tensors of a checkpoint, converted to float32, with the metadata <code>
   * {"format": "pt"}</code>, as {@link #write(Path, Map, Map)} does.
   *
   * @param file replaced if it is there, as a whole
   * @param tensors read one by one; not closed
   * @throws IllegalArgumentException if a tensor is named {@code __metadata__}
   * @throws FormatException if a tensor's elements are no floating-point numbers
   * @throws IOException if reading or writing fails; a file that was there before is then as it was
   */
  public static void write(Path file, Checkpoint tensors) throws IOException {
    var sources = new TreeMap<String, Source>();
    tensors.names().forEach(name -> sources.put(name, rounded(tensors, name, StoredType.F32)));
    write(file, sources, PYTORCH);
  }

  /**
   * {@return a checkpoint's tensor in another type, rounded to nearest; a finite value that would
   * become infinite is refused when it is read}
   *
   * @param tensors read as the result is
   * @param dtype F32, F16 or BF16; of another one float32 is made
   */
  public static Source rounded(Checkpoint tensors, String name, StoredType dtype) {
    return rounded(tensors, name, dtype, "take the model in float32 or bfloat16");
  }

  /**
   * {@return the same}
   *
   * @param remedy what to do if the type does not hold a value: the end of a message
   */
  public static Source rounded(Checkpoint tensors, String name, StoredType dtype, String remedy) {
    StoredType own = dtype == StoredType.F16 || dtype == StoredType.BF16 ? dtype : StoredType.F32;
    return new Source() {
      @Override
      public StoredType dtype() {
        return own;
      }

      @Override
      public long[] shape() {
        return tensors.shape(name);
      }

      @Override
      public void read(long offset, ByteBuffer target) throws IOException {
        if (own == StoredType.F32) {
          tensors.readFloats(name, offset / Float.BYTES, target);
          return;
        }
        ByteBuffer floats =
            ByteBuffer.allocate(2 * target.remaining()).order(ByteOrder.nativeOrder());
        long first = offset / Short.BYTES;
        tensors.readFloats(name, first, floats);
        int place = FloatFormat.beyond(own, floats.flip());
        if (place >= 0) {
          throw new FormatException(
              "tensor %s of %s has %s as value %d, which %s does not hold; %s"
                  .formatted(
                      name,
                      tensors.origin(),
                      floats.getFloat(place * Float.BYTES),
                      first + place,
                      own == StoredType.F16 ? "float16" : "bfloat16",
                      remedy));
        }
        FloatFormat.round(own, floats, target);
      }
    };
  }

  /**
   * Rounds what remains in the source to nearest, ties to even; both are advanced.
   *
   * @param dtype F16 or BF16
   * @param source float32 in its own byte order
   * @param target in its own byte order, with room for as many values
   */
  public static void round(StoredType dtype, ByteBuffer source, ByteBuffer target) {
    FloatFormat.round(dtype, source, target);
  }

  /**
   * Writes tensors of any type, those with the widest elements first and then by name, so that each
   * begins at a multiple of its elements' size. No more than a part of one is in memory at a time.
   * The file appears under its name only as a whole; one that was there before is replaced.
   *
   * @param file where to
   * @param tensors by name
   * @param metadata none is written if it is empty
   * @throws IllegalArgumentException if a tensor is named {@code __metadata__}, or its size is no
   *     number of whole bytes
   * @throws IOException if reading or writing fails; a file that was there before is then as it was
   */
  public static void write(
      Path file, Map<String, ? extends Source> tensors, Map<String, String> metadata)
      throws IOException {
    var sources = new ArrayList<Map.Entry<String, ? extends Source>>(tensors.entrySet());
    sources.sort(
        Comparator.<Map.Entry<String, ? extends Source>>comparingInt(
                source -> -source.getValue().dtype().bits())
            .thenComparing(Map.Entry::getKey));
    var entries = new LinkedHashMap<String, TensorInfo>();
    long end = 0;
    for (var source : sources) {
      StoredType dtype = source.getValue().dtype();
      long[] shape = source.getValue().shape();
      long bits = source.getValue().bits();
      if (bits % Byte.SIZE != 0) {
        throw new IllegalArgumentException(
            "%s of type %s and shape %s has %d bits, which are no whole bytes"
                .formatted(source.getKey(), dtype, Arrays.toString(shape), bits));
      }
      long begin = end;
      end = Math.addExact(begin, bits / Byte.SIZE);
      entries.put(source.getKey(), new TensorInfo(dtype, shape, begin, end));
    }
    byte[] header = SafeTensorsHeader.of(entries, metadata);
    int most = (int) Math.max(Long.BYTES, Math.min(BUFFER, end));
    AtomicFile.write(
        file,
        channel -> {
          var buffer = ByteBuffer.allocateDirect(most).order(ByteOrder.LITTLE_ENDIAN);
          AtomicFile.writeFully(channel, buffer.putLong(header.length).flip());
          AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
          for (var entry : entries.entrySet()) {
            copy(tensors.get(entry.getKey()), entry.getValue().bytes(), buffer, channel);
          }
        });
  }

  /**
   * Opens a file and checks its header; values are read later, each by its position. A header that
   * disagrees with the file is refused before anything of the size it claims is allocated.
   *
   * @return to be closed by the caller
   * @throws FormatException if it is no safetensors file, is cut off, or its header has tensors
   *     that overlap, leave gaps, lie outside the file, have a size that is not that of their
   *     shape, or share a name; names file and tensor
   * @throws IOException if reading fails
   */
  public static SafeTensors open(Path file) throws IOException {
    var channel = FileChannel.open(BoundedFile.regular(file), StandardOpenOption.READ);
    try {
      long fileSize = channel.size();
      if (fileSize < Long.BYTES) {
        throw new FormatException(
            "%s is no safetensors file: it has %d bytes, at least 8 are needed"
                .formatted(file, fileSize));
      }
      var start = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      readFully(channel, start, 0, file);
      long length = start.getLong(0);
      if (length < 2 || length > MAX_HEADER) {
        throw new FormatException(
            "%s is no safetensors file: a header has 2 to %d bytes, got %s"
                .formatted(file, MAX_HEADER, Long.toUnsignedString(length)));
      }
      if (length > fileSize - Long.BYTES) {
        throw new FormatException(
            "%s is cut off: it has %d bytes, but its header alone has %d"
                .formatted(file, fileSize, length));
      }
      var bytes = ByteBuffer.allocate((int) length);
      readFully(channel, bytes, Long.BYTES, file);
      long dataStart = Long.BYTES + length;
      var header = SafeTensorsHeader.parse(file, bytes.flip());
      header.checkPlaces(file, fileSize - dataStart);
      return new SafeTensors(file, channel, dataStart, header);
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  /** {@return the metadata, empty if there is none} */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }
}
