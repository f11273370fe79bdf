package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.DecoderFamilies.Family;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/** Each family of decoders on random weights, against float64 sample by sample. */
class DecodersTest {
  /** Of finite differences. */
  private static final double STEP = 1e-4;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  static Stream<Family> families() {
    return DecoderFamilies.all();
  }

  /** With all the fields that models on the hub have. */
  static Stream<Family> published() {
    return HubDecodersTest.small();
  }

  /** Our own operations, without modules. */
  private record Kernels(Tape tape) implements Insertions {}

  /**
   * Rows of samples side by side.
   *
   * @param ids [rows · length]
   * @param starts the same of where samples begin; -1: padding
   * @param longest tokens of the longest sample
   */
  private record Samples(long[] ids, int[] starts, int rows, int length, int longest) {
    static Samples random(Random random, int[][] lengths, int length, boolean left) {
      long[] ids = random.longs((long) lengths.length * length, 0, 53).toArray();
      int[] starts = new int[ids.length];
      Arrays.fill(starts, -1);
      for (int row = 0; row < lengths.length; row++) {
        int at = left ? length - Arrays.stream(lengths[row]).sum() : 0;
        for (int own : lengths[row]) {
          Arrays.fill(starts, row * length + at, row * length + at + own, at);
          at += own;
        }
      }
      int longest = Arrays.stream(lengths).flatMapToInt(Arrays::stream).max().orElseThrow();
      return new Samples(ids, starts, lengths.length, length, longest);
    }

    EncoderInput input() {
      byte[] mask = new byte[ids.length];
      for (int i = 0; i < mask.length; i++) {
        mask[i] = (byte) (starts[i] < 0 ? 0 : 1);
      }
      return EncoderInput.of(ids, new long[ids.length], mask, rows, length);
    }

    /** Padding belongs to the sample behind it, or to none. */
    EncoderInput packed() {
      int[] given = starts.clone();
      for (int i = ids.length - 1; i >= 0; i--) {
        int next = i % length == length - 1 ? i % length : given[i + 1];
        given[i] = given[i] < 0 ? next : given[i];
      }
      return input().startingAt(given, longest);
    }

    /**
     * Whether results have the reference's hidden states.
     *
     * @param off references with weights that are off as far as rounding counts, by which it is
     *     measured how far that moves a sample's states
     */
    void agree(ReferenceDecoder reference, List<ReferenceDecoder> off, float[]... results) {
      int hidden = results[0].length / ids.length;
      for (int first = 0; first < ids.length; first++) {
        if (starts[first] != first % length) {
          continue;
        }
        int end = first;
        while (end < (first / length + 1) * length && starts[end] == starts[first]) {
          end++;
        }
        int[] own = Arrays.stream(ids, first, end).mapToInt(id -> (int) id).toArray();
        double[][] expected = reference.forward(own, longest);
        double moved = 0;
        for (ReferenceDecoder other : off) {
          double[][] states = other.forward(own, longest);
          for (int t = 0; t < own.length; t++) {
            for (int k = 0; k < hidden; k++) {
              moved = Math.max(moved, Math.abs(states[t][k] - expected[t][k]));
            }
          }
        }
        for (float[] ours : results) {
          for (int t = 0; t < own.length; t++) {
            int at = (first + t) * hidden;
            Rounding.assertNear(
                expected[t],
                Arrays.copyOfRange(ours, at, at + hidden),
                2 * moved,
                "row %d, token %d of the sample at %d".formatted(first / length, t, starts[first]));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource({"families", "published"})
  void hiddenStatesAgreeWithFloat64(Family family) {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    ReferenceDecoder reference = new ReferenceDecoder(family.json(), tensors);
    Samples right = Samples.random(random, new int[][] {{11}, {1}, {6}}, 11, false);
    Samples left = Samples.random(random, new int[][] {{7}, {2}, {5}}, 7, true);
    Samples packed = Samples.random(random, new int[][] {{3, 1, 5}, {9}, {4, 4}}, 10, false);
    try (CausalDecoder decoder = family.decoder(tensors);
        PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape()) {
      double share = RandomCheckpoint.share(family.config(), 11);
      List<ReferenceDecoder> off =
          Stream.generate(() -> RandomCheckpoint.perturbed(tensors, share, random))
              .limit(4)
              .map(weights -> new ReferenceDecoder(family.json(), weights))
              .toList();
      Map<Samples, EncoderInput> inputs = new LinkedHashMap<>();
      inputs.put(right, right.input());
      inputs.put(left, left.packed());
      inputs.put(packed, packed.packed());
      inputs.forEach(
          (samples, input) ->
              samples.agree(
                  reference,
                  off,
                  Torch.toFloats(decoder.forward(input, Insertions.NONE)),
                  Torch.toFloats(decoder.forward(input, new Kernels(tape)))));
    }
  }

  @ParameterizedTest
  @MethodSource("families")
  void hiddenStatesWithACacheAreThoseWithout(Family family) {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    try (CausalDecoder decoder = family.decoder(tensors);
        Tape tape = new Tape()) {
      for (int[][] lengths : new int[][][] {{{9}, {4}, {6}}, {{5}}}) {
        Samples samples = Samples.random(random, lengths, 9, true);
        // What rounding may move is measured, by weights that are off as far as a sum may be.
        double share = RandomCheckpoint.share(family.config(), 9);
        double moved =
            Rounding.moved(
                states(decoder, samples.packed(), Insertions.NONE),
                () -> {
                  try (CausalDecoder off =
                      family.decoder(RandomCheckpoint.perturbed(tensors, share, random))) {
                    return states(off, samples.packed(), Insertions.NONE);
                  }
                });
        checkWithCache(decoder, samples, lengths.length, Insertions.NONE, 2 * moved);
        checkWithCache(decoder, samples, lengths.length, new Kernels(tape), 2 * moved);
      }
    }
  }

  private static float[] states(CausalDecoder decoder, EncoderInput input, Insertions insertions) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return Torch.toFloats(decoder.forward(input, insertions));
    }
  }

  /**
   * A cache has sums in another order. What another key, place or window would give is off by some
   * tenths.
   */
  private static void checkWithCache(
      CausalDecoder decoder, Samples samples, int rows, Insertions insertions, double limit) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        KeyValueCache cache = new KeyValueCache(decoder, rows, 9, samples.longest)) {
      EncoderInput whole = samples.packed();
      float[] expected = Torch.toFloats(decoder.forward(whole, insertions));
      int hidden = decoder.config().hidden();
      int from = 0;
      for (int tokens : new int[] {4, 1, 2, 1, 1}) {
        EncoderInput part = part(whole, from, tokens);
        float[] own =
            Torch.toFloats(
                decoder.next(from == 0 ? part : part.withStarts(null), cache, insertions));
        for (int i = 0; i < own.length; i++) {
          int row = i / hidden / tokens;
          int at = from + i / hidden % tokens;
          if (samples.starts[row * 9 + at] >= 0) {
            float without = expected[(row * 9 + at) * hidden + i % hidden];
            Rounding.assertNear(without, own[i], limit, "row %d, token %d".formatted(row, at));
          }
        }
        from += tokens;
      }
    }
  }

  /** Some columns of a batch. */
  private static EncoderInput part(EncoderInput whole, int from, int tokens) {
    long rows = whole.rows();
    Tensor starts = whole.starts().view(rows, whole.length()).narrow(1, from, tokens);
    return new EncoderInput(
        whole.ids().narrow(1, from, tokens),
        whole.types().narrow(1, from, tokens),
        whole.mask().narrow(1, from, tokens),
        whole.rowMask().narrow(1, from, tokens),
        rows * tokens,
        whole.largestId(),
        starts.reshape(rows * tokens),
        whole.longest());
  }

  @ParameterizedTest
  @MethodSource("families")
  void bfloat16IsNearFloat32(Family family) throws IOException {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    Samples samples = Samples.random(random, new int[][] {{6}, {4}}, 6, false);
    try (CausalDecoder exact = family.decoder(tensors);
        CausalDecoder narrow =
            new CausalDecoder(
                family.config(),
                new MapCheckpoint("random", tensors),
                Precision.BF16,
                ComputeDevice.CPU);
        PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape()) {
      Insertions kernels = new Kernels(tape);
      float[] expected = Torch.toFloats(exact.forward(samples.input(), kernels));
      Tensor states = narrow.forward(samples.input(), kernels);
      assertEquals(Precision.BF16.type(), states.scalar_type().intern());
      float[] ours = Torch.toFloats(Precision.FLOAT32.of(states));
      // A linear's weight, its input and its output are rounded, independently of each other.
      double share = Math.sqrt(3) * Rounding.BFLOAT16;
      double moved =
          Rounding.moved(
              expected,
              () -> {
                try (CausalDecoder off =
                    family.decoder(RandomCheckpoint.perturbed(tensors, share, random))) {
                  return states(off, samples.input(), kernels);
                }
              },
              Rounding::distance);
      Rounding.assertAtMost(2 * moved, Rounding.distance(expected, ours), "hidden states");
    }
  }

  @ParameterizedTest
  @MethodSource("families")
  void aWrittenConfigurationIsReadBack(Family family) throws IOException {
    EncoderConfig config = family.config();
    JsonNode json = new ObjectMapper().valueToTree(HuggingFaceConfig.write(config));
    EncoderConfig again = HuggingFaceConfig.read(json, "written");
    assertEquals(config.toString(), again.toString());
  }

  @ParameterizedTest
  @MethodSource("families")
  void gradientsOfItsOwnWeightsAreThoseOfFiniteDifferences(Family family) {
    Random random = TestSeed.random();
    Map<String, SafeTensors.Tensor> tensors = family.tensors(random);
    int[] ids = random.ints(6, 0, DecoderFamilies.VOCABULARY).toArray();
    byte[] mask = new byte[6];
    Arrays.fill(mask, (byte) 1);
    EncoderInput input =
        EncoderInput.of(Arrays.stream(ids).asLongStream().toArray(), new long[6], mask, 1, 6);
    int hidden = family.config().hidden();
    float[] factors = new float[6 * hidden];
    for (int i = 0; i < factors.length; i++) {
      factors[i] = (float) random.nextGaussian();
    }
    try (CausalDecoder decoder = family.decoder(tensors);
        FlatParameters own = decoder.trainable();
        Tape tape = new Tape();
        PointerScope scope = new PointerScope()) {
      Tensor states = decoder.forward(input, new Kernels(tape));
      states.mul(Torch.floats(factors, 6, hidden)).sum().backward();
      Map<String, Double> moved = new HashMap<>();
      for (int i = 0; i < 4; i++) {
        double share = RandomCheckpoint.share(family.config(), 6);
        try (CausalDecoder off =
                family.decoder(RandomCheckpoint.perturbed(tensors, share, random));
            FlatParameters others = off.trainable()) {
          off.forward(input, new Kernels(tape))
              .mul(Torch.floats(factors, 6, hidden))
              .sum()
              .backward();
          for (String name : own.names()) {
            double most =
                Rounding.largestDifference(
                    Torch.toFloats(own.gradient(name)), Torch.toFloats(others.gradient(name)));
            moved.merge(name, most, Math::max);
          }
        }
      }
      for (String name : own.names()) {
        float[] values = tensors.get(name).values();
        float[] gradient = Torch.toFloats(own.gradient(name));
        int index =
            name.startsWith("embed_tokens")
                ? ids[3] * hidden + random.nextInt(hidden)
                : random.nextInt(values.length);
        DoubleUnaryOperator slope =
            step -> {
              float kept = values[index];
              double[] losses = new double[2];
              float[] at = {(float) (kept - step), (float) (kept + step)};
              for (int side = 0; side < 2; side++) {
                values[index] = at[side];
                double[][] out = new ReferenceDecoder(family.json(), tensors).forward(ids, 6);
                for (int i = 0; i < factors.length; i++) {
                  losses[side] += factors[i] * out[i / hidden][i % hidden];
                }
              }
              values[index] = kept;
              return (losses[1] - losses[0]) / ((double) at[1] - at[0]);
            };
        // A step of half the size has a quarter of the error.
        double expected = slope.applyAsDouble(STEP / 2);
        double ofStep = Math.abs(slope.applyAsDouble(STEP) - expected);
        double ofSum = 2 * RandomCheckpoint.share(family.config(), 6) * Rounding.largest(gradient);
        Rounding.assertNear(
            expected,
            gradient[index],
            2 * moved.get(name) + ofSum + ofStep,
            name + ", value " + index);
      }
    }
  }

  @Test
  void theOutputWeightIsTheHeadOrTheEmbeddings() {
    DecoderFamilies.all()
        .forEach(
            family -> {
              var tensors = family.tensors(TestSeed.random());
              boolean tied = !tensors.containsKey("lm_head.weight");
              try (CausalDecoder decoder = family.decoder(tensors)) {
                assertEquals(tied, decoder.config().decoder().tied(), family.name());
                assertArrayEquals(
                    tensors.get(tied ? "embed_tokens.weight" : "lm_head.weight").values(),
                    Torch.toFloats(decoder.outputWeight()),
                    family.name());
              }
            });
  }

  @Test
  void withoutLogitsTheHeadIsNotRead() throws IOException {
    Family family = DecoderFamilies.all().findFirst().orElseThrow();
    Map<String, SafeTensors.Tensor> tensors = family.tensors(TestSeed.random());
    tensors.put("lm_head.weight", new SafeTensors.Tensor(new long[] {1}, new float[1]));
    Pretrained parts =
        new Pretrained(family.config(), new byte[0], new MapCheckpoint("random", tensors));
    try (CausalDecoder decoder =
            new CausalDecoder(
                family.config(),
                parts.withoutLogits().weights(),
                Precision.FLOAT32,
                ComputeDevice.CPU);
        FlatParameters own = decoder.trainable()) {
      assertThrows(UnsupportedOperationException.class, decoder::outputWeight);
      own.names().forEach(name -> assertNotEquals("lm_head.weight", name));
    }
  }

  @Test
  void namesMayHaveTheirPrefixAndTheHeadMayBeAbsent() {
    Family family = DecoderFamilies.all().findFirst().orElseThrow();
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    family
        .tensors(TestSeed.random())
        .forEach((name, tensor) -> tensors.put("model." + name, tensor));
    tensors.remove("model.lm_head.weight");
    tensors.put("score.weight", new SafeTensors.Tensor(new long[] {1}, new float[1]));
    try (CausalDecoder decoder = family.decoder(tensors)) {
      var e = assertThrows(UnsupportedOperationException.class, decoder::outputWeight);
      assertTrue(e.getMessage().contains("LlamaForCausalLM"), e.getMessage());
    }
    tensors.put("model.layers.2.mlp.up_proj.weight", tensors.get("score.weight"));
    assertThrows(
        FormatException.class,
        () ->
            new CausalDecoder(
                family.config(),
                new MapCheckpoint("too deep", tensors),
                Precision.FLOAT32,
                ComputeDevice.CPU));
  }

  @Test
  void paddingIsTheEndWhereThereIsNone() {
    Map<String, Integer> padding = new TreeMap<>();
    DecoderFamilies.all().forEach(f -> padding.put(f.name(), f.config().padding()));
    assertEquals(2, padding.get("Llama 2"));
    assertEquals(7, padding.get("Llama 3.2"));
    assertEquals(0, padding.get("Mistral"));
    assertEquals(4, padding.get("SmolLM3"));
  }

  @Test
  void aCacheThatIsFullIsRefused() {
    Family family = DecoderFamilies.llama();
    Samples samples = Samples.random(TestSeed.random(), new int[][] {{4}}, 4, false);
    try (CausalDecoder decoder = family.decoder(family.tensors(TestSeed.random()));
        KeyValueCache cache = new KeyValueCache(decoder, 1, 6, 6);
        PointerScope scope = new PointerScope()) {
      decoder.next(samples.input(), cache, Insertions.NONE);
      assertThrows(
          IllegalArgumentException.class,
          () -> decoder.next(samples.input(), cache, Insertions.NONE));
      assertEquals(4, cache.length());
      assertThrows(
          IllegalArgumentException.class,
          () -> new KeyValueCache(decoder, 1, 6, decoder.config().maxTokens() + 1));
    }
  }
}
