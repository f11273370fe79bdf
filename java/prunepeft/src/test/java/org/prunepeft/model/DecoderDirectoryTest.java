package org.prunepeft.model;

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
import org.prunepeft.testing.Rounding;
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
      // What is left of a difference is float32's: it is measured, by weights that are off as far
      // as a sum may be.
      double[] expected = reference(family, rounded, ids);
      double sums = moved(family, rounded, ids, RandomCheckpoint.share(family.config(), 6));
      Rounding.assertAtMost(2 * sums, Rounding.distance(expected, read), family.name());
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

  /** How far the reference's states move, by their norm, where weights are off by a share. */
  private double moved(
      DecoderFamilies.Family family, Map<String, Tensor> tensors, int[] ids, double share) {
    return Rounding.moved(
        floats(reference(family, tensors, ids)),
        () -> floats(reference(family, RandomCheckpoint.perturbed(tensors, share, random), ids)),
        Rounding::distance);
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }
}
