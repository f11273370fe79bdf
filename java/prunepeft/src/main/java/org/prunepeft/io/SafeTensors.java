package org.prunepeft.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
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
 *   <tr><td>I64, U64, C64</td><td>64</td><td>no; as bytes</td></tr>
 *   <tr><td>I32, U32</td><td>32</td><td>no; as bytes</td></tr>
 *   <tr><td>I16, U16</td><td>16</td><td>no; as bytes</td></tr>
 *   <tr><td>I8, U8, BOOL, F8_E4M3, F8_E5M2, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ</td><td>8</td><td>no;
 *       as bytes</td></tr>
 *   <tr><td>F6_E2M3, F6_E3M2</td><td>6</td><td>no; as bytes</td></tr>
 *   <tr><td>F4</td><td>4</td><td>no; as bytes</td></tr>
 * </table>
 *
 * <p>An open file can be read from several threads at once.
 */
public final class SafeTensors implements Closeable {
  private static final int MAX_HEADER = 100_000_000;
  private static final int ALIGNMENT = 8;
  private static final int BUFFER = 1 << 20;
  private static final String METADATA = "__metadata__";

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(3).build())
          .build();

  /** The type of a tensor's elements. */
  public enum DType {
    BOOL(8),
    U8(8),
    I8(8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E4M3FNUZ(8),
    F8_E5M2FNUZ(8),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    I16(16),
    U16(16),
    F16(16),
    BF16(16),
    I32(32),
    U32(32),
    F32(32),
    C64(64),
    F64(64),
    I64(64),
    U64(64);

    private final int bits;

    DType(int bits) {
      this.bits = bits;
    }

    /** The size of an element in bits. */
    public int bits() {
      return bits;
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

  /**
   * What the header says of a tensor.
   *
   * @param dtype the type of its elements
   * @param shape its sizes; [] for a single value
   * @param begin the offset of its first byte in the data section
   * @param end the offset of the byte behind its last
   */
  public record Entry(DType dtype, long[] shape, long begin, long end) {
    /** Its size in bytes. */
    public long bytes() {
      return end - begin;
    }
  }

  private final Path file;
  private final FileChannel channel;
  private final long dataStart;
  private final Map<String, Entry> entries;
  private final Map<String, String> metadata;

  private SafeTensors(Path file, FileChannel channel, long dataStart, Header header) {
    this.file = file;
    this.channel = channel;
    this.dataStart = dataStart;
    this.entries = header.entries;
    this.metadata = header.metadata;
  }

  /**
   * Writes float32 tensors with the metadata <code>{"format": "pt"}</code>, sorted by name, their
   * values from a multiple of 8 bytes on. The file appears under its name only as a whole; one that
   * was there before is replaced.
   *
   * @param file where to
   * @param tensors by name
   * @throws IllegalArgumentException if a tensor is named {@code __metadata__}
   * @throws IOException if writing fails; a file that was there before is then as it was
   */
  public static void write(Path file, Map<String, Tensor> tensors) throws IOException {
    if (tensors.containsKey(METADATA)) {
      throw new IllegalArgumentException("a tensor can't be named " + METADATA);
    }
    var sorted = new TreeMap<>(tensors);
    byte[] header = header(sorted);
    AtomicFile.write(
        file,
        channel -> {
          var buffer = ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
          AtomicFile.writeFully(channel, buffer.putLong(header.length).flip());
          AtomicFile.writeFully(channel, ByteBuffer.wrap(header));
          for (var tensor : sorted.values()) {
            writeValues(channel, buffer, tensor.values);
          }
        });
  }

  private static byte[] header(Map<String, Tensor> tensors) throws IOException {
    var bytes = new ByteArrayOutputStream();
    try (var json = JSON.createGenerator(bytes)) {
      json.writeStartObject();
      json.writeObjectFieldStart(METADATA);
      json.writeStringField("format", "pt");
      json.writeEndObject();
      long offset = 0;
      for (var tensor : tensors.entrySet()) {
        long[] shape = tensor.getValue().shape;
        long end = offset + (long) Float.BYTES * tensor.getValue().values.length;
        json.writeObjectFieldStart(tensor.getKey());
        json.writeStringField("dtype", DType.F32.name());
        json.writeFieldName("shape");
        json.writeArray(shape, 0, shape.length);
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {offset, end}, 0, 2);
        json.writeEndObject();
        offset = end;
      }
      json.writeEndObject();
    }
    while (bytes.size() % ALIGNMENT != 0) {
      bytes.write(' ');
    }
    return bytes.toByteArray();
  }

  private static void writeValues(FileChannel channel, ByteBuffer buffer, float[] values)
      throws IOException {
    for (int from = 0; from < values.length; ) {
      int count = Math.min(values.length - from, BUFFER / Float.BYTES);
      buffer.clear().limit(count * Float.BYTES);
      buffer.asFloatBuffer().put(values, from, count);
      AtomicFile.writeFully(channel, buffer);
      from += count;
    }
  }

  /**
   * Opens a file and checks its header; values are read later, each by its position. A header that
   * disagrees with the file is refused before anything of the size it claims is allocated.
   *
   * @param file the file
   * @return to be closed by the caller
   * @throws FormatException if it is no safetensors file, is cut off, or its header has tensors
   *     that overlap, leave gaps, lie outside the file, have a size that is not that of their
   *     shape, or share a name; names file and tensor
   * @throws IOException if reading fails
   */
  public static SafeTensors open(Path file) throws IOException {
    var channel = FileChannel.open(file, StandardOpenOption.READ);
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
      var header = Header.parse(file, bytes.flip());
      header.checkPlaces(file, fileSize - dataStart);
      return new SafeTensors(file, channel, dataStart, header);
    } catch (Throwable e) {
      channel.close();
      throw e;
    }
  }

  /** The names of all tensors, in the order of the header. */
  public Set<String> names() {
    return Collections.unmodifiableSet(entries.keySet());
  }

  /** The metadata, empty if there is none. */
  public Map<String, String> metadata() {
    return Collections.unmodifiableMap(metadata);
  }

  /**
   * What the header says of a tensor.
   *
   * @throws NoSuchElementException if there is no such tensor
   */
  public Entry entry(String name) {
    var entry = entries.get(name);
    if (entry == null) {
      throw new NoSuchElementException(
          "%s has no tensor %s among its %d".formatted(file, name, entries.size()));
    }
    return entry;
  }

  /**
   * Reads a part of a tensor's bytes, as many as the buffer has room for.
   *
   * @param name the tensor
   * @param offset of the first byte, counted from the tensor's start
   * @param target is filled
   * @throws NoSuchElementException if there is no such tensor
   * @throws IndexOutOfBoundsException if the tensor has fewer bytes
   * @throws IOException if reading fails
   */
  public void read(String name, long offset, ByteBuffer target) throws IOException {
    var entry = entry(name);
    if (offset < 0 || offset > entry.bytes() - target.remaining()) {
      throw new IndexOutOfBoundsException(
          "%s has %d bytes, can't read %d from %d on"
              .formatted(name, entry.bytes(), target.remaining(), offset));
    }
    readFully(channel, target, dataStart + entry.begin + offset, file);
  }

  /**
   * Reads a tensor of any type.
   *
   * @return its bytes, little-endian
   * @throws NoSuchElementException if there is no such tensor
   * @throws IllegalArgumentException if it is larger than an array, 2 GiB; {@link #read} it in
   *     parts
   * @throws IOException if reading fails
   */
  public byte[] bytes(String name) throws IOException {
    var bytes = new byte[arrayLength(name, entry(name).bytes())];
    read(name, 0, ByteBuffer.wrap(bytes));
    return bytes;
  }

  /**
   * Reads a tensor of type F64, F32, F16 or BF16.
   *
   * @return its values, row-major
   * @throws NoSuchElementException if there is no such tensor
   * @throws IllegalArgumentException if it is of another type, or has more values than an array
   * @throws IOException if reading fails
   */
  public float[] floats(String name) throws IOException {
    var entry = entry(name);
    switch (entry.dtype) {
      case F64, F32, F16, BF16 -> {}
      default ->
          throw new IllegalArgumentException(
              "%s of %s has type %s, expected F64, F32, F16 or BF16"
                  .formatted(name, file, entry.dtype));
    }
    int width = entry.dtype.bits / Byte.SIZE;
    var values = new float[arrayLength(name, entry.bytes() / width)];
    var buffer = ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
    for (int from = 0; from < values.length; ) {
      int count = Math.min(values.length - from, BUFFER / width);
      read(name, (long) from * width, buffer.clear().limit(count * width));
      buffer.flip();
      for (int i = 0; i < count; i++) {
        values[from + i] =
            switch (entry.dtype) {
              case F64 -> (float) buffer.getDouble();
              case F32 -> buffer.getFloat();
              case F16 -> half(buffer.getShort());
              default -> Float.intBitsToFloat(buffer.getShort() << 16);
            };
      }
      from += count;
    }
    return values;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  private int arrayLength(String name, long length) {
    if (length > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "%s of %s doesn't fit into an array: %d elements".formatted(name, file, length));
    }
    return (int) length;
  }

  /** The value of an IEEE 754 binary16. */
  private static float half(short bits) {
    int exponent = bits >> 10 & 0x1f;
    int fraction = bits & 0x3ff;
    float magnitude =
        switch (exponent) {
          case 0 -> fraction * 0x1p-24f;
          case 0x1f -> Float.intBitsToFloat(0x7f80_0000 | fraction << 13);
          default -> Float.intBitsToFloat(exponent + 112 << 23 | fraction << 13);
        };
    return bits < 0 ? -magnitude : magnitude;
  }

  private static void readFully(FileChannel channel, ByteBuffer target, long position, Path file)
      throws IOException {
    while (target.hasRemaining()) {
      int count = channel.read(target, position);
      if (count < 0) {
        throw new EOFException(file + " was cut off while it was read, at byte " + position);
      }
      position += count;
    }
  }

  private static final class Header {
    final Map<String, Entry> entries = new LinkedHashMap<>();
    final Map<String, String> metadata = new LinkedHashMap<>();

    static Header parse(Path file, ByteBuffer bytes) throws IOException {
      if (bytes.get(0) != '{') {
        throw new FormatException(
            file + " is no safetensors file: its header doesn't begin with {");
      }
      String text;
      try {
        text = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
      } catch (CharacterCodingException e) {
        throw new FormatException(file + " is no safetensors file: its header is not UTF-8", e);
      }
      var header = new Header();
      try (var json = JSON.createParser(text)) {
        json.nextToken();
        while (json.nextToken() != JsonToken.END_OBJECT) {
          String name = json.currentName();
          json.nextToken();
          if (name.equals(METADATA)) {
            header.metadata(json);
          } else {
            header.entries.put(name, entry(json, name));
          }
        }
        if (json.nextToken() != null) {
          throw new FormatException("text after the end of the object");
        }
      } catch (JsonProcessingException e) {
        throw new FormatException(
            "%s has a bad header: %s (line %d, column %d)"
                .formatted(
                    file,
                    e.getOriginalMessage(),
                    e.getLocation() == null ? 1 : e.getLocation().getLineNr(),
                    e.getLocation() == null ? 1 : e.getLocation().getColumnNr()),
            e);
      } catch (FormatException e) {
        throw new FormatException("%s has a bad header: %s".formatted(file, e.getMessage()), e);
      }
      return header;
    }

    private void metadata(JsonParser json) throws IOException {
      expect(json, JsonToken.START_OBJECT, METADATA);
      while (json.nextToken() != JsonToken.END_OBJECT) {
        String key = json.currentName();
        json.nextToken();
        expect(json, JsonToken.VALUE_STRING, METADATA);
        metadata.put(key, json.getText());
      }
    }

    private static Entry entry(JsonParser json, String name) throws IOException {
      expect(json, JsonToken.START_OBJECT, name);
      DType dtype = null;
      long[] shape = null;
      long[] offsets = null;
      while (json.nextToken() != JsonToken.END_OBJECT) {
        String key = json.currentName();
        json.nextToken();
        switch (key) {
          case "dtype" -> dtype = dtype(json, name);
          case "shape" -> shape = numbers(json, name, key);
          case "data_offsets" -> offsets = numbers(json, name, key);
          default -> throw new FormatException("unknown member %s of %s".formatted(key, name));
        }
      }
      if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
        throw new FormatException(name + " needs dtype, shape and two data_offsets");
      }
      if (offsets[1] < offsets[0]) {
        throw new FormatException(
            "%s ends before it begins: %s".formatted(name, Arrays.toString(offsets)));
      }
      long bits = dtype.bits;
      try {
        for (long size : shape) {
          bits = Math.multiplyExact(bits, size);
        }
      } catch (ArithmeticException e) {
        throw new FormatException(
            "%s has an impossible shape: %s".formatted(name, Arrays.toString(shape)), e);
      }
      long bytes = offsets[1] - offsets[0];
      if (bits % Byte.SIZE != 0 || bits / Byte.SIZE != bytes) {
        throw new FormatException(
            "%s of type %s and shape %s needs %d bits, but has %d bytes"
                .formatted(name, dtype, Arrays.toString(shape), bits, bytes));
      }
      return new Entry(dtype, shape, offsets[0], offsets[1]);
    }

    private static DType dtype(JsonParser json, String name) throws IOException {
      expect(json, JsonToken.VALUE_STRING, name);
      try {
        return DType.valueOf(json.getText());
      } catch (IllegalArgumentException e) {
        throw new FormatException("%s has unknown dtype %s".formatted(name, json.getText()), e);
      }
    }

    private static long[] numbers(JsonParser json, String name, String key) throws IOException {
      expect(json, JsonToken.START_ARRAY, name);
      var numbers = LongStream.builder();
      while (json.nextToken() != JsonToken.END_ARRAY) {
        expect(json, JsonToken.VALUE_NUMBER_INT, name);
        long number = json.getLongValue();
        if (number < 0) {
          throw new FormatException("negative %s of %s: %d".formatted(key, name, number));
        }
        numbers.add(number);
      }
      return numbers.build().toArray();
    }

    private static void expect(JsonParser json, JsonToken token, String name) throws IOException {
      if (json.currentToken() != token) {
        throw new FormatException(
            "in %s, expected %s at column %d, got %s"
                .formatted(
                    name, token, json.currentTokenLocation().getColumnNr(), json.currentToken()));
      }
    }

    /** Checks that the tensors fill the data section without gap or overlap. */
    void checkPlaces(Path file, long dataSize) throws FormatException {
      var placed = new ArrayList<>(entries.entrySet());
      placed.sort(
          Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().begin)
              .thenComparingLong(e -> e.getValue().end));
      long expected = 0;
      for (var tensor : placed) {
        var entry = tensor.getValue();
        if (entry.begin != expected) {
          throw new FormatException(
              "%s has a bad header: %s begins at %d, %s"
                  .formatted(
                      file,
                      tensor.getKey(),
                      entry.begin,
                      entry.begin < expected
                          ? "before the tensor ahead of it ends, at " + expected
                          : "but the tensor ahead of it ends at " + expected));
        }
        expected = entry.end;
      }
      if (expected > dataSize) {
        throw new FormatException(
            "%s is cut off: its tensors need %d bytes, it has %d"
                .formatted(file, expected, dataSize));
      }
      if (expected < dataSize) {
        throw new FormatException(
            "%s has %d bytes behind its last tensor".formatted(file, dataSize - expected));
      }
    }
  }
}
