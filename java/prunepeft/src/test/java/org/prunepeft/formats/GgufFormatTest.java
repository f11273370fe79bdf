package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.Gguf;
import org.prunepeft.io.GgufValue;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.model.Architecture;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Projection;
import org.prunepeft.peft.AdapterPart.LowRank;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

class GgufFormatTest {
  private static final EncoderConfig LLAMA = DecoderParts.config(Architecture.LLAMA);
  private final GgufFormat format = new GgufFormat();

  @TempDir Path temporary;

  private Path write(EncoderConfig encoder, List<LowRank> updates) throws IOException {
    Path directory = temporary.resolve("adapter" + temporary.toFile().list().length);
    RunDirectory target = RunDirectory.create(directory);
    format.write(DecoderParts.adapter(encoder, updates), target);
    target.complete();
    return directory;
  }

  private static List<LowRank> everywhere(EncoderConfig encoder) {
    List<LowRank> updates = new ArrayList<>();
    for (Projection projection : encoder.projections()) {
      updates.add(DecoderParts.lora(encoder, 1, projection, 1 + updates.size() % 3).build());
    }
    return updates;
  }

  @Test
  void namesShapesAndMetadataAreLlamaCpps() throws IOException {
    Path directory = write(LLAMA, everywhere(LLAMA));
    try (Gguf stored = Gguf.open(directory.resolve("adapter.gguf"))) {
      assertEquals(
          Map.of(
              "general.architecture", GgufValue.of("llama"),
              "general.type", GgufValue.of("adapter"),
              "general.file_type", GgufValue.unsigned(0),
              "adapter.type", GgufValue.of("lora"),
              "adapter.lora.alpha", GgufValue.of(8f)),
          stored.metadata());
      Map<String, String> shapes = new TreeMap<>();
      for (String name : stored.names()) {
        shapes.put(name, Arrays.toString(stored.shape(name)));
      }
      Map<String, String> expected = new TreeMap<>();
      put(expected, "attn_q", "[1, 10]", "[24, 1]");
      put(expected, "attn_k", "[2, 10]", "[12, 2]");
      put(expected, "attn_v", "[3, 10]", "[12, 3]");
      put(expected, "attn_output", "[1, 24]", "[10, 1]");
      put(expected, "ffn_up", "[2, 10]", "[14, 2]");
      put(expected, "ffn_down", "[3, 14]", "[10, 3]");
      put(expected, "ffn_gate", "[1, 10]", "[14, 1]");
      assertEquals(expected, shapes);
    }
  }

  private static void put(Map<String, String> shapes, String linear, String a, String b) {
    shapes.put("blk.1." + linear + ".weight.lora_a", a);
    shapes.put("blk.1." + linear + ".weight.lora_b", b);
  }

  @Test
  void architecturesHaveLlamaCppsNames() throws IOException {
    Map<Architecture, String> names = new TreeMap<>();
    for (Architecture architecture : DecoderParts.decoders().toList()) {
      EncoderConfig encoder = DecoderParts.config(architecture);
      Path directory = write(encoder, everywhere(encoder));
      try (Gguf stored = Gguf.open(directory.resolve("adapter.gguf"))) {
        names.put(architecture, (String) stored.metadata().get("general.architecture").value());
      }
    }
    assertEquals(
        Map.of(
            Architecture.LLAMA, "llama",
            Architecture.MISTRAL, "llama",
            Architecture.QWEN2, "qwen2",
            Architecture.QWEN3, "qwen3",
            Architecture.GEMMA2, "gemma2",
            Architecture.GEMMA3, "gemma3",
            Architecture.PHI3, "phi3",
            Architecture.SMOLLM3, "smollm3"),
        names);
  }

  @Test
  void phi3sLinearsAreFused() throws IOException {
    EncoderConfig phi3 = DecoderParts.config(Architecture.PHI3);
    Path directory = write(phi3, everywhere(phi3));
    try (Gguf stored = Gguf.open(directory.resolve("adapter.gguf"))) {
      assertEquals(GgufValue.of("phi3"), stored.metadata().get("general.architecture"));
      assertArrayEquals(new long[] {48, 6}, stored.shape("blk.1.attn_qkv.weight.lora_b"));
      assertArrayEquals(new long[] {28, 3}, stored.shape("blk.1.ffn_up.weight.lora_b"));
      assertEquals(8, stored.names().size());
    }
  }

  /**
   * llama.cpp rotates neighbouring rows of Llama's query and key, Hugging Face's library those half
   * a head apart: their products at any two positions are the same with rows in either order.
   */
  @ParameterizedTest
  @EnumSource(
      value = Architecture.class,
      names = {"LLAMA", "MISTRAL", "SMOLLM3", "QWEN2", "QWEN3", "GEMMA2", "GEMMA3"})
  void attentionScoresAreThoseOfTheOriginal(Architecture architecture) throws IOException {
    EncoderConfig encoder = DecoderParts.config(architecture);
    LowRank query = DecoderParts.lora(encoder, 0, Projection.QUERY, 3).build();
    LowRank key = DecoderParts.lora(encoder, 0, Projection.KEY, 2).alpha(5).build();
    Path directory = write(encoder, List.of(query, key));
    boolean neighbours =
        List.of(Architecture.LLAMA, Architecture.MISTRAL, Architecture.SMOLLM3)
            .contains(architecture);
    Random random = TestSeed.random();
    double[] x = random.doubles(10, -1, 1).toArray();
    double[] y = random.doubles(10, -1, 1).toArray();
    for (int head = 0; head < 4; head++) {
      double expected =
          score(
              rotated(head(DecoderParts.delta(query), x, head), 3, false),
              rotated(head(DecoderParts.delta(key), y, head / 2), 11, false));
      double actual =
          score(
              rotated(head(stored(directory, "attn_q"), x, head), 3, neighbours),
              rotated(head(stored(directory, "attn_k"), y, head / 2), 11, neighbours));
      double magnitudes =
          Arrays.stream(head(DecoderParts.magnitudes(query), magnitudes(x), head)).sum()
              * Arrays.stream(head(DecoderParts.magnitudes(key), magnitudes(y), head / 2)).sum();
      // Both scales and their products with a value are float32.
      double limit = Rounding.gamma(4, Rounding.FLOAT32) * magnitudes;
      Rounding.assertNear(expected, actual, limit, "head " + head);
    }
  }

  private static double[] magnitudes(double[] values) {
    return Arrays.stream(values).map(Math::abs).toArray();
  }

  /** alpha / r · B·A of a linear of layer 0. */
  private static double[] stored(Path directory, String linear) throws IOException {
    try (Gguf stored = Gguf.open(directory.resolve("adapter.gguf"))) {
      String name = "blk.0." + linear + ".weight.lora_";
      int rank = (int) stored.shape(name + "a")[0];
      float alpha = (float) stored.metadata().get("adapter.lora.alpha").value();
      double[] b = DecoderParts.doubles(stored.floats(name + "b"));
      double[] scaled = Arrays.stream(b).map(value -> alpha / rank * value).toArray();
      return DecoderParts.product(scaled, stored.floats(name + "a"), rank);
    }
  }

  /** The 6 values of a head of W x. */
  private static double[] head(double[] weight, double[] x, int head) {
    double[] values = new double[6];
    for (int row = 0; row < 6; row++) {
      for (int i = 0; i < x.length; i++) {
        values[row] += weight[(head * 6 + row) * x.length + i] * x[i];
      }
    }
    return values;
  }

  private static double[] rotated(double[] head, int position, boolean neighbours) {
    double[] rotated = new double[6];
    for (int pair = 0; pair < 3; pair++) {
      int first = neighbours ? 2 * pair : pair;
      int second = neighbours ? 2 * pair + 1 : pair + 3;
      double angle = position * Math.pow(10_000, -2.0 * pair / 6);
      rotated[first] = head[first] * Math.cos(angle) - head[second] * Math.sin(angle);
      rotated[second] = head[second] * Math.cos(angle) + head[first] * Math.sin(angle);
    }
    return rotated;
  }

  private static double score(double[] query, double[] key) {
    double score = 0;
    for (int i = 0; i < query.length; i++) {
      score += query[i] * key[i];
    }
    return score;
  }

  @ParameterizedTest
  @MethodSource("org.prunepeft.formats.DecoderParts#decoders")
  void whatIsWrittenIsReadBackWithTheSameEffect(Architecture architecture) throws IOException {
    EncoderConfig encoder = DecoderParts.config(architecture);
    List<LowRank> updates = everywhere(encoder);
    updates.add(DecoderParts.lora(encoder, 0, Projection.OUTPUT, 2).alpha(3).rsLora(true).build());
    updates.add(DecoderParts.adaLora(encoder, 2, Projection.OUTPUT));
    Path directory = write(encoder, updates);
    TrainedAdapter read = format.read(directory, Map.of(), encoder, List.of());
    assertEquals(updates.size(), read.lowRank().size());
    for (LowRank update : updates) {
      LowRank back =
          read.lowRank().stream().filter(u -> u.path().equals(update.path())).findFirst().get();
      DecoderParts.assertSameUpdate(update, DecoderParts.delta(back), update.path());
    }
  }

  @Test
  void plainLoraKeepsItsBits() throws IOException {
    List<LowRank> updates =
        everywhere(LLAMA).stream().map(update -> DecoderParts.with(update, 7)).toList();
    Path directory = write(LLAMA, updates);
    TrainedAdapter read = format.read(directory, Map.of(), LLAMA, List.of());
    Parts.assertSame(DecoderParts.adapter(LLAMA, updates), read);
  }

  @Test
  void anotherModelsAdapterAndDoraAreRefused() throws IOException {
    Path directory = write(LLAMA, everywhere(LLAMA));
    EncoderConfig qwen = DecoderParts.config(Architecture.QWEN3);
    String message =
        assertThrows(FormatException.class, () -> format.read(directory, Map.of(), qwen, List.of()))
            .getMessage();
    assertTrue(message.contains("must have the general.architecture qwen3"), message);
    LowRank dora =
        DecoderParts.lora(LLAMA, 0, Projection.KEY, 2).magnitude(Parts.random(12)).build();
    String refusal =
        assertThrows(
                IllegalArgumentException.class,
                () -> format.require(DecoderParts.adapter(LLAMA, List.of(dora))))
            .getMessage();
    assertTrue(refusal.contains("llama.cpp takes no DoRA"), refusal);
  }

  @Test
  void updatesOfTwoTypesOnAProjectionAreOne() throws IOException {
    LowRank lora = DecoderParts.lora(LLAMA, 1, Projection.VALUE, 2).build();
    LowRank other = DecoderParts.lora(LLAMA, 1, Projection.VALUE, 3).alpha(3).build();
    Path directory = write(LLAMA, List.of(lora, other));
    List<LowRank> read = format.read(directory, Map.of(), LLAMA, List.of()).lowRank();
    assertEquals(1, read.size());
    DecoderParts.assertSameUpdate(
        DecoderParts.sum(DecoderParts.delta(lora), DecoderParts.delta(other)),
        DecoderParts.sum(DecoderParts.magnitudes(lora), DecoderParts.magnitudes(other)),
        DecoderParts.delta(read.get(0)),
        "the sum of two");
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.POSITIVE_INFINITY, Float.NaN, -1})
  void anAlphaThatScalesNothingIsRefused(float alpha) throws IOException {
    Path directory = write(LLAMA, everywhere(LLAMA));
    Path file = directory.resolve("adapter.gguf");
    Map<String, GgufValue> metadata = new TreeMap<>();
    Map<String, Tensor> tensors = tensors(file, metadata);
    metadata.put("adapter.lora.alpha", GgufValue.of(alpha));
    Gguf.write(file, metadata, new MapCheckpoint("memory", tensors));
    String message =
        assertThrows(
                FormatException.class, () -> format.read(directory, Map.of(), LLAMA, List.of()))
            .getMessage();
    assertTrue(
        message.contains("adapter.lora.alpha must be finite and at least 0, got " + alpha),
        message);
  }

  /** B holds the difference of two scales, which may be beyond float32. */
  @Test
  void whatFloat32DoesNotHoldIsNotWritten() {
    LowRank plain = DecoderParts.lora(LLAMA, 0, Projection.KEY, 2).build();
    LowRank huge = DecoderParts.lora(LLAMA, 1, Projection.KEY, 2).alpha(1e300).build();
    for (List<LowRank> updates : List.of(List.of(plain, huge), List.of(huge, plain))) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> write(LLAMA, updates)).getMessage();
      assertTrue(message.contains(huge.path()), message);
      assertTrue(message.contains("train") && message.contains("alpha"), message);
    }
  }

  private static Map<String, Tensor> tensors(Path file, Map<String, GgufValue> metadata)
      throws IOException {
    Map<String, Tensor> tensors = new TreeMap<>();
    try (Gguf stored = Gguf.open(file)) {
      metadata.putAll(stored.metadata());
      for (String name : stored.names()) {
        tensors.put(name, new Tensor(stored.shape(name), stored.floats(name)));
      }
    }
    return tensors;
  }

  @Test
  void whatIsMoreThanLoraIsRefusedByItsKey() throws IOException {
    Path directory = write(LLAMA, everywhere(LLAMA));
    Path file = directory.resolve("adapter.gguf");
    Map<String, GgufValue> metadata = new TreeMap<>();
    Map<String, Tensor> tensors = tensors(file, metadata);
    metadata.put("adapter.lora.task_name", GgufValue.of("letters"));
    metadata.put("adapter.lora.prompt_prefix", GgufValue.of("Dear "));
    metadata.put("general.name", GgufValue.of("letters"));
    Gguf.write(file, metadata, new MapCheckpoint("memory", tensors));
    assertEquals(7, format.read(directory, Map.of(), LLAMA, List.of()).lowRank().size());
    metadata.put("adapter.alora.invocation_tokens", GgufValue.of("1 2"));
    Gguf.write(file, metadata, new MapCheckpoint("memory", tensors));
    String message =
        assertThrows(
                FormatException.class, () -> format.read(directory, Map.of(), LLAMA, List.of()))
            .getMessage();
    assertTrue(
        message.contains(file + ": adapter.alora.invocation_tokens is not supported"), message);
  }
}
