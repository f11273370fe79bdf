package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

/** What decoders compute whose weights were read from a directory. */
class DecoderDirectoryTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;
  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  @ParameterizedTest
  @CsvSource({"F16,false", "BF16,false", "F32,true", "F16,true", "BF16,true"})
  void decodersOfEveryWidthAndInShardsComputeWhatFloat64Does(String dtype, boolean inShards)
      throws IOException {
    for (var family : DecoderFamilies.all().toList()) {
      Map<String, Tensor> exact = family.tensors(random);
      Map<String, Tensor> rounded = new TreeMap<>();
      exact.forEach((name, tensor) -> rounded.put(name, WeightFiles.rounded(tensor, dtype)));
      Map<String, Tensor> stored = new TreeMap<>();
      rounded.forEach(
          (name, tensor) ->
              stored.put(name.startsWith("lm_head.") ? name : "model." + name, tensor));
      JSON.writeValue(directory.resolve("config.json").toFile(), family.json());
      Files.writeString(directory.resolve("tokenizer.json"), "{}");
      if (inShards) {
        WeightFiles.shards(directory, stored, dtype);
      } else {
        WeightFiles.write(directory.resolve("model.safetensors"), stored, dtype);
      }
      int[] ids = random.ints(6, 0, DecoderFamilies.VOCABULARY).toArray();
      float[] read = states(ids);
      // What is left of a difference is float32's.
      assertTrue(distance(read, reference(family, rounded, ids)) < 1e-5, family.name());
      // The type's rounding, once for each of the weights that a state comes through: embedding,
      // two
      // norms and four products in each of up to four layers, last norm.
      double rounding =
          switch (dtype) {
            case "F16" -> 0x1p-10;
            case "BF16" -> 0x1p-7;
            default -> 0x1p-20;
          };
      assertTrue(distance(read, reference(family, exact, ids)) < 26 * rounding, family.name());
    }
  }

  /** The hidden states that the directory's decoder has of a sample, [T · hidden]. */
  private float[] states(int[] ids) {
    byte[] mask = new byte[ids.length];
    Arrays.fill(mask, (byte) 1);
    long[] longs = Arrays.stream(ids).asLongStream().toArray();
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Encoder read = Models.byName(directory.toString()).loader().load().encoder()) {
      EncoderInput input = EncoderInput.of(longs, new long[ids.length], mask, 1, ids.length);
      return Torch.toFloats(read.forward(input, Insertions.NONE));
    }
  }

  private static double[] reference(
      DecoderFamilies.Family family, Map<String, Tensor> tensors, int[] ids) {
    double[][] states = new ReferenceDecoder(family.json(), tensors).forward(ids, ids.length);
    return Arrays.stream(states).flatMapToDouble(Arrays::stream).toArray();
  }

  /** The norm of the difference, as a part of what is expected. */
  private static double distance(float[] actual, double[] expected) {
    assertEquals(expected.length, actual.length);
    double difference = 0;
    double size = 0;
    for (int i = 0; i < actual.length; i++) {
      difference += Math.pow(actual[i] - expected[i], 2);
      size += Math.pow(expected[i], 2);
    }
    return Math.sqrt(difference / size);
  }
}
