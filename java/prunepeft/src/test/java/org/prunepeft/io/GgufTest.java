package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.io.GgufValue.Type;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;

class GgufTest {
  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("adapter.gguf");
  }

  /** A value of each type, at its extremes, and arrays. */
  private static Map<String, GgufValue> metadata() {
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    metadata.put("general.architecture", GgufValue.of("llama"));
    metadata.put("adapter.lora.alpha", GgufValue.of(16.5f));
    metadata.put("uint8", new GgufValue(Type.UINT8, 255L));
    metadata.put("int8", new GgufValue(Type.INT8, -128L));
    metadata.put("uint16", new GgufValue(Type.UINT16, 65_535L));
    metadata.put("int16", new GgufValue(Type.INT16, -32_768L));
    metadata.put("uint32", GgufValue.unsigned(0xffff_ffffL));
    metadata.put("int32", new GgufValue(Type.INT32, (long) Integer.MIN_VALUE));
    metadata.put("uint64", new GgufValue(Type.UINT64, -1L));
    metadata.put("int64", new GgufValue(Type.INT64, Long.MIN_VALUE));
    metadata.put("float64", new GgufValue(Type.FLOAT64, Math.PI));
    metadata.put("yes", new GgufValue(Type.BOOL, true));
    metadata.put("é", GgufValue.of("größer\n"));
    metadata.put("words", new GgufValue(Type.STRING, List.of("a", "", "bc")));
    metadata.put("numbers", new GgufValue(Type.INT16, List.of(-1L, 2L)));
    metadata.put("none", new GgufValue(Type.FLOAT32, List.of()));
    return metadata;
  }

  @Test
  void whatIsWrittenIsReadBack() throws IOException {
    Random random = TestSeed.random();
    float[] values = new float[300_007];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    Gguf.write(
        file,
        metadata(),
        new MapCheckpoint(
            "memory",
            Map.of(
                "b", new Tensor(new long[] {1, 300_007}, values),
                "a", new Tensor(new long[] {2, 3}, new float[] {1, 2, 3, -0f, 5, 6}),
                "scalar", new Tensor(new long[0], new float[] {7}),
                "nothing", new Tensor(new long[] {0, 4}, new float[0]))));
    try (Gguf read = Gguf.open(file)) {
      assertEquals(metadata(), read.metadata());
      assertEquals(List.copyOf(metadata().keySet()), List.copyOf(read.metadata().keySet()));
      assertEquals(List.of("a", "b", "nothing", "scalar"), List.copyOf(read.names()));
      assertArrayEquals(new long[] {2, 3}, read.shape("a"));
      assertArrayEquals(new float[] {1, 2, 3, -0f, 5, 6}, read.floats("a"));
      assertArrayEquals(values, read.floats("b"));
      assertArrayEquals(new long[] {0, 4}, read.shape("nothing"));
      assertArrayEquals(new float[] {7}, read.floats("scalar"));
    }
    assertEquals(0, Files.size(file) % 32);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 32, 4096})
  void aPlainReadingOfTheFormatFindsTheSame(int alignment) throws IOException {
    Map<String, GgufValue> metadata = metadata();
    if (alignment != 32) {
      metadata.put(Gguf.ALIGNMENT, GgufValue.unsigned(alignment));
    }
    Map<String, Source> tensors = new LinkedHashMap<>();
    tensors.put("z", stored(StoredType.BF16, 3, 5));
    tensors.put("a", stored(StoredType.F32, 7));
    tensors.put("m", stored(StoredType.F16, 1, 2, 3, 4));
    Gguf.write(file, metadata, tensors);
    ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    assertEquals("GGUF", text(in, 4));
    assertEquals(3, in.getInt());
    assertEquals(3, in.getLong());
    assertEquals(metadata.size(), in.getLong());
    for (var entry : metadata.entrySet()) {
      assertEquals(entry.getKey(), text(in, (int) in.getLong()));
      int type = in.getInt();
      Object value = entry.getValue().value();
      if (value instanceof List<?> elements) {
        assertEquals(9, type);
        type = in.getInt();
        assertEquals(elements.size(), in.getLong());
        for (Object element : elements) {
          assertEquals(element, plain(in, type));
        }
      } else {
        assertEquals(value, plain(in, type), entry.getKey());
      }
    }
    List<Integer> types = new ArrayList<>();
    List<Long> offsets = new ArrayList<>();
    for (var tensor : tensors.entrySet()) {
      assertEquals(tensor.getKey(), text(in, (int) in.getLong()));
      long[] sizes = new long[in.getInt()];
      for (int i = 0; i < sizes.length; i++) {
        sizes[sizes.length - 1 - i] = in.getLong();
      }
      assertArrayEquals(tensor.getValue().shape(), sizes);
      types.add(in.getInt());
      offsets.add(in.getLong());
    }
    assertEquals(List.of(30, 0, 1), types);
    int start = (in.position() + alignment - 1) / alignment * alignment;
    int i = 0;
    for (Source tensor : tensors.values()) {
      assertEquals(0, offsets.get(i) % alignment);
      byte[] expected = new byte[(int) (count(tensor.shape()) * tensor.dtype().bits() / 8)];
      tensor.read(0, ByteBuffer.wrap(expected));
      byte[] actual = new byte[expected.length];
      in.get((int) (start + offsets.get(i++)), actual);
      assertArrayEquals(expected, actual);
    }
    try (Gguf read = Gguf.open(file)) {
      assertEquals(metadata, read.metadata());
      for (String name : tensors.keySet()) {
        byte[] expected = new byte[(int) read.entry(name).bytes()];
        tensors.get(name).read(0, ByteBuffer.wrap(expected));
        assertArrayEquals(expected, read.bytes(name));
      }
    }
  }

  private static String text(ByteBuffer in, int length) {
    byte[] bytes = new byte[length];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** By the numbers that the format's description has. */
  private static Object plain(ByteBuffer in, int type) {
    return switch (type) {
      case 0 -> (long) Byte.toUnsignedInt(in.get());
      case 1 -> (long) in.get();
      case 2 -> (long) Short.toUnsignedInt(in.getShort());
      case 3 -> (long) in.getShort();
      case 4 -> Integer.toUnsignedLong(in.getInt());
      case 5 -> (long) in.getInt();
      case 6 -> in.getFloat();
      case 7 -> in.get() == 1;
      case 8 -> text(in, (int) in.getLong());
      case 10, 11 -> in.getLong();
      case 12 -> in.getDouble();
      default -> throw new AssertionError(type);
    };
  }

  private static Source stored(StoredType dtype, long... shape) {
    byte[] bytes = new byte[(int) count(shape) * dtype.bits() / 8];
    TestSeed.random().nextBytes(bytes);
    return new BytesSource(dtype, bytes, shape);
  }

  private static long count(long... shape) {
    return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "empty | is no GGUF file",
        "big-endian | has GGUF version 50331648, only 3 in little-endian order is read",
        "many-tensors | claims 1152921504606846976 tensors, and 16 bytes are left; copy or convert it anew",
        "many-keys | claims 18446744073709551615 metadata, and ",
        "long-text | claims 1099511627776 bytes of k, and ",
        "long-array | claims 1099511627776 elements of k, and ",
        "arrays-of-arrays | k is an array of arrays, which are not read",
        "alignment-0 | general.alignment must be a UINT32, a power of two up to 1048576",
        "overflow | a has an impossible shape",
        "huge-shape | is cut off: it has 64 bytes",
        "overlap | b is at 0, but the tensors ahead of it end at 32",
        "cut-off | is cut off",
        "quantised | tensor a of ",
      })
  void aDamagedFileIsNamedWithWhatIsWrong(String input, String message) throws IOException {
    String resource = "/org/prunepeft/fuzz/ReadersTestInputs/gguf/" + input + ".gguf";
    try (var bytes = GgufTest.class.getResourceAsStream(resource)) {
      Files.write(file, bytes.readAllBytes());
    }
    String actual = assertThrows(FormatException.class, () -> Gguf.open(file)).getMessage();
    assertTrue(actual.contains(message), actual);
    assertTrue(actual.contains(file.toString()), actual);
  }

  @Test
  void aHeaderThatIsTooLongIsNotSaidToBeCutOff() throws IOException {
    int tensors = 9_000_000;
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      out.write(
          ByteBuffer.allocate(24)
              .order(ByteOrder.LITTLE_ENDIAN)
              .put("GGUF".getBytes(StandardCharsets.US_ASCII))
              .putInt(3)
              .putLong(tensors)
              .array());
      out.setLength(400_000_000); // no blocks are taken
    }
    String actual = assertThrows(FormatException.class, () -> Gguf.open(file)).getMessage();
    String expected =
        "it has 9000000 tensors, and headers of more than 200000000 bytes are not read";
    assertTrue(actual.contains(expected), actual);
  }

  @Test
  void whatTheFormatCannotHoldIsRefusedAndNothingWritten() {
    refused("x of type I8", Map.of("x", stored(StoredType.I8, 4)));
    refused("[1, 1, 1, 1, 1]", Map.of("x", stored(StoredType.F32, 1, 1, 1, 1, 1)));
    refused("names of 63 bytes", Map.of("é".repeat(32), stored(StoredType.F32, 1)));
    assertEquals(
        "UINT8 holds no 256, a Long",
        assertThrows(IllegalArgumentException.class, () -> new GgufValue(Type.UINT8, 256L))
            .getMessage());
    assertThrows(IllegalArgumentException.class, () -> new GgufValue(Type.INT8, -129L));
    assertThrows(IllegalArgumentException.class, () -> new GgufValue(Type.INT32, 1));
    assertThrows(IllegalArgumentException.class, () -> new GgufValue(Type.STRING, List.of("", 1L)));
    assertThrows(IllegalArgumentException.class, () -> GgufValue.unsigned(-1));
  }

  private void refused(String message, Map<String, Source> tensors) {
    String actual =
        assertThrows(IllegalArgumentException.class, () -> Gguf.write(file, Map.of(), tensors))
            .getMessage();
    assertTrue(actual.contains(message), actual);
    assertFalse(Files.exists(file));
  }
}
