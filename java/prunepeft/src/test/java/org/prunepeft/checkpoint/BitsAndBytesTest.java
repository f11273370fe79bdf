package org.prunepeft.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.io.BytesSource;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.testing.TestSeed;

class BitsAndBytesTest {
  private static final String NAME = "model.layers.0.mlp.up_proj.weight";

  @TempDir Path directory;
  private final Map<String, Source> tensors = new TreeMap<>();
  private Random random;

  @BeforeEach
  void seed() {
    random = TestSeed.random();
  }

  private float[] floats(String name, int count) {
    float[] values = new float[count];
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
      bytes.putFloat(values[i]);
    }
    tensors.put(name, new BytesSource(StoredType.F32, bytes.array(), count));
    return values;
  }

  private byte[] bytes(String name, StoredType dtype, int count, long... shape) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    tensors.put(name, new BytesSource(dtype, bytes, shape));
    return bytes;
  }

  private void state(String json) {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    tensors.put(
        NAME + ".quant_state.bitsandbytes__nf4",
        new BytesSource(StoredType.U8, bytes, bytes.length));
  }

  private Checkpoint open() throws IOException {
    Path file = directory.resolve("model.safetensors");
    SafeTensors.write(file, tensors, Map.of());
    return BitsAndBytes.of(SafeTensors.open(file));
  }

  /** 5 x 7 values in blocks of 8, whose scales are in blocks of 3 where they are quantised. */
  private float[] fourBits(boolean nested) {
    byte[] packed = bytes(NAME, StoredType.U8, 18, 18, 1);
    float[] meanings = floats(NAME + ".quant_map", 16);
    float[] scales = new float[5];
    String json =
        "{\"quant_type\": \"nf4\", \"blocksize\": 8, \"dtype\": \"bfloat16\", \"shape\": [5, 7]";
    if (nested) {
      byte[] codes = bytes(NAME + ".absmax", StoredType.U8, 5, 5);
      float[] nestedMeanings = floats(NAME + ".nested_quant_map", 256);
      float[] nestedScales = floats(NAME + ".nested_absmax", 2);
      for (int i = 0; i < 5; i++) {
        scales[i] = nestedMeanings[Byte.toUnsignedInt(codes[i])] * nestedScales[i / 3] + 0.25f;
      }
      json += ", \"nested_blocksize\": 3, \"nested_dtype\": \"float32\", \"nested_offset\": 0.25";
    } else {
      scales = floats(NAME + ".absmax", 5);
    }
    state(json + "}");
    float[] expected = new float[35];
    for (int i = 0; i < 35; i++) {
      int pair = Byte.toUnsignedInt(packed[i / 2]);
      expected[i] = meanings[i % 2 == 0 ? pair / 16 : pair % 16] * scales[i / 8];
    }
    return expected;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void nf4IsReadAsFloatNumbers(boolean nested) throws IOException {
    float[] expected = fourBits(nested);
    float[] other = floats("model.norm.weight", 7);
    try (Checkpoint read = open()) {
      assertEquals(Set.of(NAME, "model.norm.weight"), read.names());
      assertArrayEquals(new long[] {5, 7}, read.shape(NAME));
      assertArrayEquals(expected, read.floats(NAME));
      assertArrayEquals(other, read.floats("model.norm.weight"));
      for (int first = 0; first < 35; first++) {
        int count = 1 + random.nextInt(35 - first);
        ByteBuffer part = ByteBuffer.allocate(4 * count).order(ByteOrder.nativeOrder());
        read.readFloats(NAME, first, part);
        float[] actual = new float[count];
        part.flip().asFloatBuffer().get(actual);
        assertArrayEquals(Arrays.copyOfRange(expected, first, first + count), actual);
      }
      assertEquals(StoredType.BF16, read.source(NAME).dtype());
      assertThrows(
          IndexOutOfBoundsException.class, () -> read.readFloats(NAME, 35, ByteBuffer.allocate(4)));
    }
  }

  /** As bitsandbytes keeps it with bnb_4bit_quant_storage, for FSDP. */
  @ParameterizedTest
  @EnumSource(names = {"BF16", "F16", "I8"})
  void nf4IsReadWhateverItsBytesAreSaidToBe(StoredType storage) throws IOException {
    float[] expected = fourBits(true);
    ByteBuffer packed = ByteBuffer.allocate(18).order(ByteOrder.LITTLE_ENDIAN);
    tensors.get(NAME).read(0, packed);
    int elements = 18 * 8 / storage.bits();
    tensors.put(NAME, new BytesSource(storage, packed.array(), elements, 1));
    try (Checkpoint read = open()) {
      assertArrayEquals(expected, read.floats(NAME));
    }
    refused(
        "weight of ",
        "must have 18 bytes, got 16: BF16 with shape [8, 1]",
        () -> tensors.put(NAME, new BytesSource(StoredType.BF16, new byte[16], 8, 1)));
  }

  @Test
  void int8IsReadAsFloatNumbers() throws IOException {
    byte[] codes = bytes(NAME, StoredType.I8, 15, 3, 5);
    float[] scales = floats("model.layers.0.mlp.up_proj.SCB", 3);
    bytes("model.layers.0.mlp.up_proj.weight_format", StoredType.U8, 1);
    try (Checkpoint read = open()) {
      assertEquals(Set.of(NAME), read.names());
      float[] values = read.floats(NAME);
      for (int i = 0; i < 15; i++) {
        assertEquals(codes[i] * (scales[i / 5] / 127), values[i]);
      }
    }
  }

  @Test
  void whatIsNotQuantisedStaysAsItIs() throws IOException {
    floats("a", 3);
    Path file = directory.resolve("model.safetensors");
    SafeTensors.write(file, tensors, Map.of());
    try (SafeTensors stored = SafeTensors.open(file)) {
      assertSame(stored, BitsAndBytes.of(stored));
    }
  }

  @Test
  void whatDoesNotFitIsNamed() throws IOException {
    fourBits(false);
    Map<String, Source> whole = new TreeMap<>(tensors);
    refused(".quant_map of ", "must be F32 with 16 values", () -> floats(NAME + ".quant_map", 15));
    tensors.putAll(whole);
    refused(".absmax of ", "is missing", () -> tensors.remove(NAME + ".absmax"));
    tensors.putAll(whole);
    refused("weight of ", "must have blocks", () -> state("{\"shape\": [5, 7], \"blocksize\": 0}"));
    refused("weight of ", "two sizes", () -> state("{\"shape\": [-5, 7], \"blocksize\": 8}"));
    refused(
        "weight of ",
        "must have 2305843009213693952 bytes, got 18",
        () -> state("{\"shape\": [4294967296, 1073741824], \"blocksize\": 64}"));
    refused("nf4 of ", "is no JSON", () -> state("{"));
    tensors.putAll(whole);
    refused(
        "fp4 of ",
        "is of a type that is not read",
        () -> bytes(NAME + ".quant_state.bitsandbytes__fp4", StoredType.U8, 1, 1));
  }

  private void refused(String name, String message, Runnable change) {
    change.run();
    String actual = assertThrows(FormatException.class, this::open).getMessage();
    assertTrue(actual.contains(name) && actual.contains(message), actual);
  }
}
