package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;

class SafeTensorsTest {
  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("adapter_model.safetensors");
  }

  @Test
  void whatIsWrittenIsReadBack() throws IOException {
    var random = TestSeed.random();
    var large = new float[300_007];
    for (int i = 0; i < large.length; i++) {
      large[i] = (float) random.nextGaussian();
    }
    var odd = new float[] {Float.NaN, -0f, Float.MIN_VALUE, Float.NEGATIVE_INFINITY, 5, 6};
    Files.writeString(file, "an older file");
    SafeTensors.write(
        file,
        Map.of(
            "b.\"quoted\" é", new Tensor(new long[] {2, 3}, odd),
            "a", new Tensor(new long[] {300_007, 1}, large),
            "empty", new Tensor(new long[] {0, 4}, new float[0]),
            "scalar", new Tensor(new long[0], new float[] {7})));

    byte[] bytes = Files.readAllBytes(file);
    long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertEquals(0, (8 + header) % 8);
    assertEquals(8 + header + 4 * (6 + large.length + 1), bytes.length);
    try (var tensors = SafeTensors.open(file)) {
      assertEquals(Map.of("format", "pt"), tensors.metadata());
      assertEquals(List.of("a", "b.\"quoted\" é", "empty", "scalar"), List.copyOf(tensors.names()));
      assertArrayEquals(large, tensors.floats("a"));
      assertArrayEquals(odd, tensors.floats("b.\"quoted\" é"));
      assertArrayEquals(new long[] {2, 3}, tensors.entry("b.\"quoted\" é").shape());
      assertEquals(0, tensors.floats("empty").length);
      assertArrayEquals(new float[] {7}, tensors.floats("scalar"));
      var part = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      tensors.read("a", 4 * 300_000, part);
      assertEquals(large[300_001], part.getFloat(4));
      assertThrows(NoSuchElementException.class, () -> tensors.floats("c"));
      assertThrows(
          IndexOutOfBoundsException.class, () -> tensors.read("scalar", 1, ByteBuffer.allocate(4)));
      assertThrows(
          IndexOutOfBoundsException.class,
          () -> tensors.read("scalar", Long.MIN_VALUE, ByteBuffer.allocate(4)));
    }
    try (var files = Files.list(directory)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void tensorsBehindTheFirstTwoGigabytesAreRead() throws IOException {
    long rows = 1L << 30;
    String header =
        "{"
            + tensor("large", "F32", "[" + rows + ",1]", "0," + 4 * rows)
            + ","
            + tensor("last", "F32", "[2]", 4 * rows + "," + (4 * rows + 8))
            + "}";
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    var start = ByteBuffer.allocate(8 + text.length).order(ByteOrder.LITTLE_ENDIAN);
    var end = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    end.putFloat(3).putFloat(1).putFloat(2);
    // Sparse: the file system keeps no blocks for what is not written.
    try (var channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      channel.write(start.putLong(text.length).put(text).flip());
      channel.write(end.flip(), start.capacity() + 4 * rows - 4);
    }
    try (var tensors = SafeTensors.open(file)) {
      assertArrayEquals(new float[] {1, 2}, tensors.floats("last"));
      var part = ByteBuffer.allocate(8).order(ByteOrder.nativeOrder());
      tensors.readFloats("large", rows - 2, part);
      assertEquals(0, part.getFloat(0));
      assertEquals(3, part.getFloat(4));
      var e = assertThrows(IllegalArgumentException.class, () -> tensors.bytes("large"));
      assertTrue(e.getMessage().contains("doesn't fit into an array"), e.getMessage());
    }
  }

  @Test
  void aFailedWriteLeavesTheOlderFile() throws IOException {
    Files.createDirectories(file.resolve("a directory is in the way"));
    assertThrows(IOException.class, () -> SafeTensors.write(file, Map.of()));
    assertTrue(Files.isDirectory(file.resolve("a directory is in the way")));
    try (var files = Files.list(directory)) {
      assertEquals(List.of(file), files.toList());
    }
  }

  @Test
  void everyTypeIsReadInAnyOrderOfTheData() throws IOException {
    int size = Arrays.stream(StoredType.values()).mapToInt(StoredType::bits).sum();
    var members = new ArrayList<String>();
    int end = size;
    for (StoredType dtype : StoredType.values()) {
      // Eight elements, so as many bytes as one has bits.
      int begin = end - dtype.bits();
      members.add(tensor(dtype.name(), dtype.name(), "[2,4]", begin + "," + end));
      end = begin;
    }
    byte[] data = new byte[size];
    TestSeed.random().nextBytes(data);
    write("{" + String.join(",", members) + "}", data);
    try (var tensors = SafeTensors.open(file)) {
      for (StoredType dtype : StoredType.values()) {
        var entry = tensors.entry(dtype.name());
        assertEquals(dtype, entry.dtype());
        assertArrayEquals(
            Arrays.copyOfRange(data, (int) entry.begin(), (int) entry.end()),
            tensors.bytes(dtype.name()));
      }
      var e = assertThrows(FormatException.class, () -> tensors.floats("I8"));
      assertTrue(e.getMessage().contains("I8") && e.getMessage().contains("BF16"));
    }
  }

  @Test
  void narrowAndWideFloatsAreConverted() throws IOException {
    var data = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
    for (int half : new int[] {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000}) {
      data.putShort((short) half);
    }
    data.putShort((short) 0x3f80).putShort((short) 0xff80);
    data.putInt(0).putDouble(0.1);
    write(
        "{"
            + tensor("half", "F16", "[6]", "0,12")
            + ","
            + tensor("brain", "BF16", "[2]", "12,16")
            + ","
            + tensor("rest", "U8", "[4]", "16,20")
            + ","
            + tensor("double", "F64", "[]", "20,28")
            + "}",
        data.array());
    try (var tensors = SafeTensors.open(file)) {
      assertArrayEquals(
          new float[] {1, -2, 0x1p-24f, 65504, Float.POSITIVE_INFINITY, -0f},
          tensors.floats("half"));
      assertArrayEquals(new float[] {1, Float.NEGATIVE_INFINITY}, tensors.floats("brain"));
      assertArrayEquals(new float[] {0.1f}, tensors.floats("double"));
    }
  }

  @Test
  void eightBitFloatsAreConverted() throws IOException {
    // Values from the formats' descriptions: zero, smallest, one, largest, and what is no number.
    byte[] data = {
      0,
      1,
      0x38,
      0x7e,
      0x7f,
      (byte) 0xb8,
      0,
      1,
      0x3c,
      0x7b,
      0x7c,
      0x7d,
      (byte) 0xfc,
      0,
      127,
      (byte) 0xfe,
      (byte) 0xff,
      1,
      0x40,
      0x7f,
      (byte) 0x80,
      1,
      0x40,
      0x7f,
      (byte) 0x80
    };
    write(
        "{"
            + String.join(
                ",",
                tensor("e4m3", "F8_E4M3", "[6]", "0,6"),
                tensor("e5m2", "F8_E5M2", "[7]", "6,13"),
                tensor("e8m0", "F8_E8M0", "[4]", "13,17"),
                tensor("e4m3fnuz", "F8_E4M3FNUZ", "[4]", "17,21"),
                tensor("e5m2fnuz", "F8_E5M2FNUZ", "[4]", "21,25"))
            + "}",
        data);
    float infinity = Float.POSITIVE_INFINITY;
    try (var tensors = SafeTensors.open(file)) {
      assertArrayEquals(new float[] {0, 0x1p-9f, 1, 448, Float.NaN, -1}, tensors.floats("e4m3"));
      assertArrayEquals(
          new float[] {0, 0x1p-16f, 1, 57344, infinity, Float.NaN, -infinity},
          tensors.floats("e5m2"));
      assertArrayEquals(new float[] {0x1p-127f, 1, 0x1p127f, Float.NaN}, tensors.floats("e8m0"));
      assertArrayEquals(new float[] {0x1p-10f, 1, 240, Float.NaN}, tensors.floats("e4m3fnuz"));
      assertArrayEquals(new float[] {0x1p-17f, 1, 57344, Float.NaN}, tensors.floats("e5m2fnuz"));
    }
  }

  @Test
  void everyTypeIsWrittenAlignedWithItsMetadata() throws IOException {
    var random = TestSeed.random();
    var stored = new TreeMap<String, byte[]>();
    var sources = new TreeMap<String, SafeTensors.Source>();
    for (StoredType dtype : StoredType.values()) {
      // An odd number of elements where they are whole bytes; four of 6 bits are three bytes.
      int count = dtype.bits() % 8 == 0 ? 3 : 4;
      byte[] bytes = new byte[count * dtype.bits() / 8];
      random.nextBytes(bytes);
      stored.put(dtype.name(), bytes);
      sources.put(dtype.name(), new BytesSource(dtype, bytes, count, 1));
    }
    Map<String, String> metadata = Map.of("format", "pt", "note", "\"quoted\" é\n");
    SafeTensors.write(file, sources, metadata);
    Path copy = directory.resolve("copy.safetensors");
    try (var tensors = SafeTensors.open(file)) {
      assertEquals(metadata, tensors.metadata());
      assertEquals(stored.keySet(), new TreeSet<>(tensors.names()));
      for (String name : stored.keySet()) {
        var entry = tensors.entry(name);
        assertEquals(name, entry.dtype().name());
        assertArrayEquals(stored.get(name), tensors.bytes(name), name);
        assertEquals(0, entry.begin() * 8 % entry.dtype().bits(), name);
      }
      var again = new TreeMap<String, SafeTensors.Source>();
      tensors.names().forEach(name -> again.put(name, tensors.source(name)));
      SafeTensors.write(copy, again, metadata);
    }
    assertEquals(-1, Files.mismatch(file, copy));
    byte[] bytes = Files.readAllBytes(file);
    assertEquals(0, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong() % 8);
    SafeTensors.write(file, Map.of(), Map.of());
    try (var tensors = SafeTensors.open(file)) {
      assertTrue(tensors.metadata().isEmpty() && tensors.names().isEmpty());
    }
  }

  @Test
  void whatTheFormatCannotHoldIsNotWritten() {
    SafeTensors.Source half = new BytesSource(StoredType.F4, new byte[2], 3);
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> SafeTensors.write(file, Map.of("x", half), Map.of()));
    assertTrue(e.getMessage().contains("x of type F4 and shape [3] has 12 bits"), e.getMessage());
    var named =
        Map.<String, SafeTensors.Source>of(
            "__metadata__", new BytesSource(StoredType.U8, new byte[1], 1));
    assertThrows(IllegalArgumentException.class, () -> SafeTensors.write(file, named, Map.of()));
    assertFalse(Files.exists(file));
  }

  @Test
  void aCheckpointIsWrittenAsFloat32() throws IOException {
    var data = ByteBuffer.allocate(6).order(ByteOrder.LITTLE_ENDIAN);
    data.putShort((short) 0x3c00).putShort((short) 0xc000).putShort((short) 0x7c00);
    write("{" + tensor("half", "F16", "[3,1]", "0,6") + "}", data.array());
    Path copy = directory.resolve("copy.safetensors");
    try (var half = SafeTensors.open(file)) {
      SafeTensors.write(copy, half);
    }
    try (var tensors = SafeTensors.open(copy)) {
      assertEquals(StoredType.F32, tensors.entry("half").dtype());
      assertArrayEquals(new long[] {3, 1}, tensors.shape("half"));
      assertArrayEquals(new float[] {1, -2, Float.POSITIVE_INFINITY}, tensors.floats("half"));
    }
  }

  @Test
  void partsOfATensorAreConvertedFromTheirPlace() throws IOException {
    var random = TestSeed.random();
    var data = ByteBuffer.allocate(2 * 700_001).order(ByteOrder.LITTLE_ENDIAN);
    var expected = new float[700_001];
    for (int i = 0; i < expected.length; i++) {
      short bits = (short) random.nextInt(0x7f80);
      data.putShort(bits);
      expected[i] = Float.intBitsToFloat(bits << 16);
    }
    write("{" + tensor("brain", "BF16", "[700001]", "0,1400002") + "}", data.array());
    try (var tensors = SafeTensors.open(file)) {
      assertArrayEquals(expected, tensors.floats("brain"));
      var part = ByteBuffer.allocate(4 * 600_000).order(ByteOrder.nativeOrder());
      tensors.readFloats("brain", 99_999, part);
      var values = new float[600_000];
      part.flip().asFloatBuffer().get(values);
      assertArrayEquals(Arrays.copyOfRange(expected, 99_999, 699_999), values);
      assertThrows(
          IndexOutOfBoundsException.class,
          () -> tensors.readFloats("brain", 100_002, part.clear()));
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}} | before the tensor ahead
          {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}  | before the tensor ahead
          {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}} | but the tensor ahead
          {"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}                                        | 4 bytes behind
          {"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}                                       | is cut off
          {"a":{"dtype":"F32","shape":[3],"data_offsets":[-12,0]}}                                      | negative
          {"a":{"dtype":"F32","shape":[-3],"data_offsets":[0,12]}}                                      | negative
          {"a":{"dtype":"F32","shape":[0],"data_offsets":[12,0]}}                                       | ends before
          {"a":{"dtype":"F32","shape":[3],"data_offsets":[18446744073709551604,12]}}                    | out of range
          {"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}                    | impossible
          {"a":{"dtype":"F32","shape":[3],"data_offsets":[9223372036854775795,9223372036854775807]}}    | ahead of it
          {"a":{"dtype":"F16","shape":[3],"data_offsets":[0,12]}}                                       | needs 48 bits
          {"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}                                         | needs 12 bits
          {"a":{"dtype":"F33","shape":[3],"data_offsets":[0,12]}}                                       | unknown dtype F33
          {"a":{"dtype":"F32","shape":[3.0],"data_offsets":[0,12]}}                                     | expected VALUE_NUMBER_INT
          {"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12,12]}}                                    | two data_offsets
          {"a":{"dtype":"F32","shape":[3]}}                                                             | two data_offsets
          {"a":{"dtype":"F32","shape":[[3]],"data_offsets":[0,12]}}                                     | nesting depth
          {"a":{"dtype":"F32","dtype":"F32","shape":[3],"data_offsets":[0,12]}}                         | Duplicate
          {"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}} | Duplicate
          {"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}} {}                                    | text after
          {"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}                                        | end-of-input
          {"__metadata__":{"a":1}}                                                                      | expected VALUE_STRING
           {}                                                                                           | 12 bytes behind
          []                                                                                            | begin with
          """)
  void aHostileHeaderIsRefused(String header, String message) throws IOException {
    write(header, new byte[12]);
    var e = assertThrows(FormatException.class, () -> SafeTensors.open(file));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
  }

  @Test
  void aHeaderLongerThanTheFileIsRefusedBeforeItIsAllocated() throws IOException {
    for (long length : new long[] {0, 1, 99, 100_000_000, 1L << 40, Long.MAX_VALUE, -1}) {
      var bytes = ByteBuffer.allocate(20).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
      Files.write(file, bytes.put((byte) '{').array());
      assertThrows(FormatException.class, () -> SafeTensors.open(file));
    }
  }

  @Test
  void deeplyNestedJsonIsRefused() throws IOException {
    write("{\"a\":" + "[".repeat(1_000_000), new byte[0]);
    assertThrows(FormatException.class, () -> SafeTensors.open(file));
  }

  @Test
  void textThatIsNotUtf8IsRefused() throws IOException {
    var bytes = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN).putLong(4);
    Files.write(file, bytes.put(new byte[] {'{', '"', (byte) 0xff, '"'}).array());
    var e = assertThrows(FormatException.class, () -> SafeTensors.open(file));
    assertTrue(e.getMessage().endsWith("not UTF-8"), e.getMessage());
  }

  @Test
  void aTensorWhoseShapeAndValuesDisagreeCannotBeMade() {
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> new Tensor(new long[] {2, 3}, new float[5]));
    assertEquals("shape [2, 3] needs 6 values, got 5", e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> new Tensor(new long[] {-1}, new float[0]));
  }

  private static String tensor(String name, String dtype, String shape, String offsets) {
    return "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%s]}"
        .formatted(name, dtype, shape, offsets);
  }

  private void write(String header, byte[] data) throws IOException {
    byte[] text = header.getBytes(StandardCharsets.UTF_8);
    var bytes = ByteBuffer.allocate(8 + text.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, bytes.putLong(text.length).put(text).put(data).array());
  }
}
