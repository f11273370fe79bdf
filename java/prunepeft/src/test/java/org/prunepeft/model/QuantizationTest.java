package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.QuantizedTensor;
import org.prunepeft.io.QuantizedTensor.Form;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.ProcessPeak;
import org.prunepeft.torch.Torch;

/** Codes and scales of random matrices against the definitions that bitsandbytes has of them. */
class QuantizationTest {
  private static final String NAME = "w";

  /** create_normal_map(). */
  private static final double[] NORMAL = {
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0
  };

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static MapCheckpoint checkpoint(float[] values, int rows, int cols) {
    return new MapCheckpoint(
        "memory", Map.of(NAME, new SafeTensors.Tensor(new long[] {rows, cols}, values)));
  }

  private static float[] normal(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (0.1 * random.nextGaussian());
    }
    return values;
  }

  /** create_dynamic_map(), by LibTorch's linspace. */
  private static double[] dynamic() {
    List<Float> all = new ArrayList<>(List.of(0f, 1f));
    try (PointerScope scope = new PointerScope()) {
      for (int decade = 0; decade < 7; decade++) {
        int parts = 1 << decade;
        Tensor boundaries = torch.linspace(new Scalar(0.1), new Scalar(1.0), parts + 1);
        Tensor means =
            boundaries
                .narrow(0, 0, parts)
                .add(boundaries.narrow(0, 1, parts))
                .div(new Scalar(2.0))
                .mul(new Scalar(Math.pow(10, decade - 6)));
        for (float mean : Torch.toFloats(means)) {
          all.add(mean);
          all.add(-mean);
        }
      }
    }
    Collections.sort(all);
    return all.stream().mapToDouble(Float::doubleValue).toArray();
  }

  /**
   * Whether no code is nearer. Halfway between two codes float32's rounding decides, of the value,
   * of what lies halfway and of the map: each is off by 2^-25 at most.
   */
  private static boolean isNearest(double[] map, float value, int code) {
    double least = Arrays.stream(map).map(each -> Math.abs(each - value)).min().orElseThrow();
    return Math.abs(map[code] - value) <= least + 0x1p-23;
  }

  @ParameterizedTest
  @CsvSource({"96,352", "7,31", "1,1", "129,192"})
  void nf4IsWhatBitsandbytesMakes(int rows, int cols) throws IOException {
    float[] values = normal(TestSeed.random(), rows * cols);
    int blocks = (values.length + 63) / 64;
    float[] scales = new float[blocks];
    for (int i = 0; i < values.length; i++) {
      scales[i / 64] = Math.max(scales[i / 64], Math.abs(values[i]));
    }
    double sum = 0;
    for (float scale : scales) {
      sum += scale;
    }
    float mean = (float) (sum / blocks);
    double[] map = dynamic();
    try (MapCheckpoint checkpoint = checkpoint(values, rows, cols);
        QuantizedWeight actual = QuantizedWeight.of(checkpoint, NAME, Form.NF4)) {
      assertEquals(64, actual.block());
      float[] decodedScales = actual.scales(0, blocks);
      for (int from = 0; from < blocks; from += 256) {
        int to = Math.min(blocks, from + 256);
        float largest = 0;
        for (int i = from; i < to; i++) {
          largest = Math.max(largest, Math.abs(scales[i] - mean));
        }
        for (int i = from; i < to; i++) {
          float scaled = largest == 0 ? 0 : (scales[i] - mean) * (1 / largest);
          double decoded = decodedScales[i];
          float most = largest;
          // The map is of four roundings in float32, here by LibTorch and there; it is multiplied
          // and added to.
          double roundings = Rounding.gamma(2 * 4 + 2, Rounding.FLOAT32) * (most + mean);
          assertTrue(
              IntStream.range(0, map.length)
                  .filter(code -> isNearest(map, scaled, code))
                  .anyMatch(code -> Math.abs(map[code] * most + mean - decoded) <= roundings),
              "scale " + i + ": " + decoded);
        }
      }
      // The half byte behind the last of an odd number of values has no meaning.
      byte[] codes = codes(actual, (values.length + 1) / 2);
      float[] decoded = actual.values(0, values.length);
      for (int i = 0; i < values.length; i++) {
        int code = codes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xf;
        float value = values[i] * (1 / scales[i / 64]);
        assertTrue(isNearest(NORMAL, value, code), code + " of " + value + ", value " + i);
        assertEquals((float) NORMAL[code] * decodedScales[i / 64], decoded[i]);
      }
    }
  }

  @Test
  void int8IsNearestByRows() throws IOException {
    Random random = TestSeed.random();
    int rows = 33;
    int cols = 130;
    float[] values = normal(random, rows * cols);
    try (MapCheckpoint checkpoint = checkpoint(values, rows, cols);
        QuantizedWeight actual = QuantizedWeight.of(checkpoint, NAME, Form.INT8)) {
      byte[] codes = codes(actual, values.length);
      float[] scales = actual.scales(0, rows);
      float[] decoded = actual.values(0, values.length);
      for (int row = 0; row < rows; row++) {
        float largest = 0;
        for (int i = row * cols; i < (row + 1) * cols; i++) {
          largest = Math.max(largest, Math.abs(values[i]));
        }
        assertEquals(largest / 127, scales[row]);
        for (int i = row * cols; i < (row + 1) * cols; i++) {
          // Where it is all but halfway, float32 decides: a scale, its inverse and a product.
          double most = 0.5 + Rounding.gamma(3, Rounding.FLOAT32) * 127;
          Rounding.assertNear(127.0 * values[i] / largest, codes[i], most, "code " + i);
          assertEquals(codes[i] * scales[row], decoded[i]);
        }
      }
    }
  }

  private static byte[] codes(QuantizedTensor tensor, int count) throws IOException {
    byte[] whole = new byte[count];
    tensor.readCodes(0, ByteBuffer.wrap(whole));
    if (count > 1) {
      byte[] part = new byte[count - 1];
      tensor.readCodes(1, ByteBuffer.wrap(part));
      for (int i = 0; i < part.length; i++) {
        assertEquals(whole[i + 1], part[i]);
      }
    }
    return whole;
  }

  @Test
  void nf4TakesLessThanAThirdOfWhatBfloat16Takes() throws Exception {
    int few = 2;
    int many = 12;
    long more =
        ProcessPeak.of(Load.class, String.valueOf(many))
            - ProcessPeak.of(Load.class, String.valueOf(few));
    double bytes = (double) more / (many - few) / Load.SIZE / Load.SIZE;
    // Both are there twice, for the products of either direction: bfloat16 takes four, NF4 1.06.
    // Two
    // JVMs' peaks differ by some tens of megabytes, a tenth of a byte a weight.
    assertTrue(bytes > 0.8 && bytes < 4 / 3.0, () -> bytes + " bytes for each weight");
  }

  /** Packs as many weights as its argument says, in a process of its own. */
  static final class Load {
    static final int SIZE = 4096;

    private Load() {}

    public static void main(String[] arguments) throws IOException {
      List<FrozenWeight> weights = new ArrayList<>();
      try (MapCheckpoint checkpoint = checkpoint(new float[SIZE * SIZE], SIZE, SIZE);
          LoadingBuffers buffers = new LoadingBuffers()) {
        for (int i = 0; i < Integer.parseInt(arguments[0]); i++) {
          weights.add(packed(checkpoint, buffers));
          System.gc(); // buffers through which floats were read
        }
      }
      ProcessPeak.print();
      weights.forEach(FrozenWeight::close);
    }
  }

  private static FrozenWeight packed(MapCheckpoint checkpoint, LoadingBuffers buffers)
      throws IOException {
    return QuantizedStack.of(checkpoint, List.of(NAME), Quantization.NF4)
        .packed(null, Precision.BF16, ComputeDevice.CPU, buffers);
  }

  @Test
  void zerosStayZeros() throws IOException {
    for (Form form : Form.values()) {
      try (MapCheckpoint checkpoint = checkpoint(new float[192], 3, 64);
          QuantizedWeight actual = QuantizedWeight.of(checkpoint, NAME, form)) {
        for (float value : actual.values(0, 192)) {
          assertEquals(0, value, 0.0);
        }
      }
    }
  }

  @Test
  void whatIsNotFiniteIsNamed() {
    float[] values = normal(TestSeed.random(), 128);
    values[77] = Float.NaN;
    String message =
        assertThrows(
                FormatException.class,
                () -> QuantizedWeight.of(checkpoint(values, 2, 64), NAME, Form.NF4))
            .getMessage();
    assertTrue(message.contains("tensor w of memory has NaN as value 77"), message);
  }
}
