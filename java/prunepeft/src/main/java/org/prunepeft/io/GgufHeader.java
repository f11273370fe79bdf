package org.prunepeft.io;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.prunepeft.io.GgufValue.Type;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.io.SafeTensors.TensorInfo;

/** The header of a GGUF file, as {@link Gguf} describes it. */
final class GgufHeader {
  private static final int MAGIC = 0x4655_4747; // GGUF
  private static final int VERSION = 3;
  private static final int MOST_SIZES = 4;

  /** llama.cpp has 64 bytes for a name, the last of them 0. */
  private static final int LONGEST_NAME = 63;

  private static final long MOST_ALIGNMENT = 1 << 20;
  private static final Map<StoredType, Integer> TYPES =
      Map.of(StoredType.F32, 0, StoredType.F16, 1, StoredType.BF16, 30);

  final Map<String, GgufValue> metadata = new LinkedHashMap<>();
  final Map<String, TensorInfo> entries = new LinkedHashMap<>();
  private long alignment = 32;

  /** Of the header in bytes, without the zeros that pad it. */
  private long length;

  /** Where the last tensor ends, counted from the data section's first byte. */
  private long end;

  private GgufHeader() {}

  /** Where the data section begins. */
  long dataStart() {
    return padded(length);
  }

  /** The next multiple of the alignment. */
  long padded(long bytes) {
    return Math.addExact(bytes, alignment - 1) & -alignment;
  }

  private void align() {
    GgufValue value = metadata.get(Gguf.ALIGNMENT);
    if (value == null) {
      return;
    }
    if (value.type() != Type.UINT32
        || !(value.value() instanceof Long number)
        || number > MOST_ALIGNMENT
        || Long.bitCount(number) != 1) {
      throw new IllegalArgumentException(
          "%s must be a UINT32, a power of two up to %d, got %s"
              .formatted(Gguf.ALIGNMENT, MOST_ALIGNMENT, value));
    }
    alignment = number;
  }

  static GgufHeader read(GgufInput in) throws IOException {
    if (in.size < 24 || in.int32() != MAGIC) {
      throw new FormatException(in.file + " is no GGUF file: it does not begin with GGUF");
    }
    int version = in.int32();
    if (version != VERSION) {
      throw new FormatException(
          "%s has GGUF version %s, only %d in little-endian order is read; convert it anew"
              .formatted(in.file, Integer.toUnsignedString(version), VERSION));
    }
    var header = new GgufHeader();
    // A name, sizes, type and offset; a key, type and value.
    long tensors = in.count("tensors", 8 + 4 + 4 + 8);
    long metadata = in.count("metadata", 8 + 4 + 1);
    for (long i = 0; i < metadata; i++) {
      String key = in.text("a key");
      if (header.metadata.put(key, value(in, key)) != null) {
        throw in.bad("the key " + key + " is there twice");
      }
    }
    try {
      header.align();
      for (long i = 0; i < tensors; i++) {
        header.readEntry(in);
      }
      header.length = in.position();
      long end = header.dataStart() + header.end;
      if (tensors > 0 && (end < 0 || end > in.size)) {
        throw new FormatException(
            "%s is cut off: it has %d bytes, but its tensors end at %s"
                .formatted(in.file, in.size, Long.toUnsignedString(end)));
      }
    } catch (IllegalArgumentException e) {
      throw in.bad(e.getMessage());
    }
    return header;
  }

  private static GgufValue value(GgufInput in, String key) throws IOException {
    Type type = type(in, key);
    if (type != Type.ARRAY) {
      return new GgufValue(type, scalar(in, type, key));
    }
    Type elements = type(in, key);
    if (elements == Type.ARRAY) {
      throw in.bad(key + " is an array of arrays, which are not read");
    }
    long count = in.count("elements of " + key, elements.bytes);
    List<Object> values = new ArrayList<>();
    for (long i = 0; i < count; i++) {
      values.add(scalar(in, elements, key));
    }
    return new GgufValue(elements, values);
  }

  private static Type type(GgufInput in, String key) throws IOException {
    int number = in.int32();
    if (number < 0 || number >= Type.values().length) {
      throw in.bad(
          "%s has the type %s, and there are 0 to %d"
              .formatted(key, Integer.toUnsignedString(number), Type.values().length - 1));
    }
    return Type.values()[number];
  }

  private static Object scalar(GgufInput in, Type type, String key) throws IOException {
    return switch (type) {
      case UINT8 -> in.int8() & 0xffL;
      case INT8 -> (long) in.int8();
      case UINT16 -> in.int16() & 0xffffL;
      case INT16 -> (long) in.int16();
      case UINT32 -> in.int32() & 0xffff_ffffL;
      case INT32 -> (long) in.int32();
      case UINT64, INT64 -> in.int64();
      case FLOAT32 -> Float.intBitsToFloat(in.int32());
      case FLOAT64 -> Double.longBitsToDouble(in.int64());
      case STRING -> in.text(key);
      case BOOL -> {
        int value = in.int8();
        if (value != 0 && value != 1) {
          throw in.bad("%s must be 0 or 1, got %d".formatted(key, value));
        }
        yield value == 1;
      }
      case ARRAY -> throw new IllegalStateException("an array is no element");
    };
  }

  private void readEntry(GgufInput in) throws IOException {
    String name = in.text("a tensor's name");
    int count = in.int32();
    if (count < 0 || count > MOST_SIZES) {
      throw in.bad(
          "%s has %s sizes, at most %d are allowed"
              .formatted(name, Integer.toUnsignedString(count), MOST_SIZES));
    }
    var shape = new long[count];
    for (int i = count - 1; i >= 0; i--) {
      shape[i] = in.int64();
      if (shape[i] < 0) {
        throw in.bad(name + " has the size " + Long.toUnsignedString(shape[i]));
      }
    }
    int type = in.int32();
    StoredType dtype =
        TYPES.entrySet().stream()
            .filter(entry -> entry.getValue() == type)
            .map(Map.Entry::getKey)
            .findFirst()
            .orElseThrow(
                () ->
                    new FormatException(
                        "tensor %s of %s has type %s; F32, F16 and BF16 are read, 0, 1 and 30"
                            .formatted(name, in.file, Integer.toUnsignedString(type))));
    if (entries.containsKey(name)) {
      throw in.bad("two tensors are named " + name);
    }
    long offset = in.int64();
    TensorInfo entry = put(name, dtype, shape);
    if (offset != entry.begin()) {
      throw in.bad(
          "%s is at %s, but the tensors ahead of it end at %d"
              .formatted(name, Long.toUnsignedString(offset), entry.begin()));
    }
  }

  private TensorInfo put(String name, StoredType dtype, long[] shape) {
    TensorInfo entry;
    try {
      long bytes = LongStream.of(shape).reduce(dtype.bits() / Byte.SIZE, Math::multiplyExact);
      long begin = padded(end);
      entry = new TensorInfo(dtype, shape, begin, Math.addExact(begin, bytes));
      end = entry.end();
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "%s has an impossible shape: %s".formatted(name, Arrays.toString(shape)), e);
    }
    entries.put(name, entry);
    return entry;
  }

  static GgufHeader of(Map<String, GgufValue> metadata, Map<String, ? extends Source> tensors) {
    var header = new GgufHeader();
    header.metadata.putAll(metadata);
    header.align();
    tensors.forEach(
        (name, source) -> {
          if (!TYPES.containsKey(source.dtype())
              || source.shape().length > MOST_SIZES
              || utf8(name).length > LONGEST_NAME) {
            throw new IllegalArgumentException(
                "%s of type %s and shape %s: a GGUF file takes F32, F16 and BF16, %d sizes, and names of %d bytes"
                    .formatted(
                        name,
                        source.dtype(),
                        Arrays.toString(source.shape()),
                        MOST_SIZES,
                        LONGEST_NAME));
          }
          header.put(name, source.dtype(), source.shape());
        });
    return header;
  }

  /** All of a file up to its data section. */
  byte[] bytes() {
    var out = new HeaderOutput();
    out.int32(MAGIC).int32(VERSION).int64(entries.size()).int64(metadata.size());
    metadata.forEach(
        (key, value) -> {
          out.text(key);
          if (value.value() instanceof List<?> elements) {
            out.int32(Type.ARRAY.ordinal()).int32(value.type().ordinal()).int64(elements.size());
            elements.forEach(element -> out.value(value.type(), element));
          } else {
            out.int32(value.type().ordinal()).value(value.type(), value.value());
          }
        });
    entries.forEach(
        (name, entry) -> {
          long[] shape = entry.shape();
          out.text(name).int32(shape.length);
          for (int i = shape.length - 1; i >= 0; i--) {
            out.int64(shape[i]);
          }
          out.int32(TYPES.get(entry.dtype())).int64(entry.begin());
        });
    byte[] bytes = out.bytes.toByteArray();
    return Arrays.copyOf(bytes, (int) padded(bytes.length));
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Values as the format has them. */
  private static final class HeaderOutput {
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    HeaderOutput int32(int value) {
      return integer(value, Integer.BYTES);
    }

    HeaderOutput int64(long value) {
      return integer(value, Long.BYTES);
    }

    private HeaderOutput integer(long value, int count) {
      ByteBuffer all = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      bytes.write(all.putLong(value).array(), 0, count);
      return this;
    }

    HeaderOutput text(String text) {
      byte[] utf8 = utf8(text);
      int64(utf8.length);
      bytes.writeBytes(utf8);
      return this;
    }

    HeaderOutput value(Type type, Object value) {
      return switch (type) {
        case STRING -> text((String) value);
        case BOOL -> integer((Boolean) value ? 1 : 0, type.bytes);
        case FLOAT32 -> int32(Float.floatToRawIntBits((Float) value));
        case FLOAT64 -> int64(Double.doubleToRawLongBits((Double) value));
        default -> integer((Long) value, type.bytes);
      };
    }
  }
}
