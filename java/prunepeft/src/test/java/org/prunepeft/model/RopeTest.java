package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.io.FormatException;
import org.prunepeft.model.Rope.Type;

/**
 * Frequencies of rotation that were worked out by hand, and some that Hugging Face has published.
 */
class RopeTest {
  private static final double EXACT = 1e-12;

  private static Rope rope(Type type, double theta, int size, double factor, int original) {
    return DecoderFamilies.rope(theta, size, original)
        .with()
        .type(type)
        .factor(factor)
        .lowFrequencyFactor(1)
        .highFrequencyFactor(4)
        .betaFast(32)
        .betaSlow(1)
        .shortFactors(type == Type.LONGROPE ? List.of(1.0, 2.0) : List.of())
        .longFactors(type == Type.LONGROPE ? List.of(5.0, 10.0) : List.of())
        .build();
  }

  private static Rope read(String settings) throws IOException {
    return config("phi3", settings).decoder().rope();
  }

  private static EncoderConfig config(String family, String settings) throws IOException {
    String json =
        """
        {"model_type": "%s", "hidden_size": 3072, "num_attention_heads": 24, "num_hidden_layers": 1,
         "intermediate_size": 8192, "vocab_size": 200064, %s}"""
            .formatted(family, settings);
    return HuggingFaceConfig.read(new ObjectMapper().readTree(json), "test");
  }

  @Test
  void frequenciesArePowersOfTheta() {
    assertArrayEquals(
        new double[] {1, 0.1, 0.01}, DecoderFamilies.rope(1000, 6, 64).frequencies(9), EXACT);
  }

  @Test
  void linearScalingDividesThem() {
    assertArrayEquals(
        new double[] {0.25, 0.0025}, rope(Type.LINEAR, 1e4, 4, 4, 64).frequencies(9), EXACT);
  }

  @Test
  void dynamicScalingMakesThetaGrowBeyondTheContext() {
    Rope rope = rope(Type.DYNAMIC, 1e4, 4, 2, 100);
    assertArrayEquals(new double[] {1, 0.01}, rope.frequencies(100), EXACT);
    // Theta grows by (2 · 200 / 100 - 1)^(4/2) = 9.
    assertArrayEquals(new double[] {1, 0.01 / 3}, rope.frequencies(200), EXACT);
    assertEquals(200, rope.maxTokens(100));
  }

  @ParameterizedTest
  @EnumSource(names = {"DYNAMIC", "YARN", "LLAMA3"})
  void frequenciesAreThosePublished(Type type) throws IOException {
    double[] expected = published(type.name().toLowerCase(Locale.ROOT));
    assertPublished(expected, rope(type, 1e4, 128, 10, 2048).frequencies(16384));
  }

  /** Of linear and longrope the published are the unscaled ones, and what each is divided by. */
  @Test
  void frequenciesAreThosePublishedDividedByFactors() throws IOException {
    double[] unscaled = published("default");
    assertPublished(unscaled, DecoderFamilies.rope(1e4, 128, 2048).frequencies(16384));
    for (double factor : new double[] {2, 10, 20}) {
      assertPublished(
          Arrays.stream(unscaled).map(frequency -> frequency / factor).toArray(),
          rope(Type.LINEAR, 1e4, 128, factor, 2048).frequencies(16384));
    }
    Rope longRope =
        DecoderFamilies.rope(1e4, 128, 2048)
            .with()
            .type(Type.LONGROPE)
            .factor(10)
            .shortFactors(Collections.nCopies(64, 2.0))
            .longFactors(IntStream.rangeClosed(1, 64).mapToObj(i -> (double) i).toList())
            .build();
    assertPublished(
        Arrays.stream(unscaled).map(frequency -> frequency / 2).toArray(),
        longRope.frequencies(2048));
    assertPublished(
        IntStream.range(0, 64).mapToDouble(i -> unscaled[i] / (i + 1)).toArray(),
        longRope.frequencies(16384));
  }

  private static double[] published(String type) throws IOException {
    try (InputStream in = RopeTest.class.getResourceAsStream("published-rope-frequencies.json")) {
      ObjectMapper json = new ObjectMapper();
      return json.convertValue(json.readTree(in).get(type), double[].class);
    }
  }

  private static void assertPublished(double[] expected, double[] frequencies) {
    assertEquals(64, expected.length);
    assertEquals(64, frequencies.length);
    for (int i = 0; i < 64; i++) {
      // Five digits are published.
      assertEquals(expected[i], frequencies[i], 5.1e-5 * expected[i], "pair " + i);
    }
  }

  @Test
  void llama3DividesLowFrequenciesAndSomeInPart() {
    // A wavelength of half the context: a third as it is, two thirds divided by 8.
    double frequency = 2 * Math.PI / 4096;
    Rope rope = rope(Type.LLAMA3, Math.pow(frequency, -2), 4, 8, 8192);
    assertArrayEquals(new double[] {1, frequency * 5 / 12}, rope.frequencies(9), EXACT);
    Rope longer = rope(Type.LLAMA3, Math.pow(frequency / 4, -2), 4, 8, 8192);
    assertArrayEquals(new double[] {1, frequency / 32}, longer.frequencies(9), EXACT);
  }

  @Test
  void yarnPassesFromOneToTheOtherBetweenTwoNumbersOfTurns() {
    double turns = 1000 / (2 * Math.PI);
    // With theta 100 and 4 pairs these are the numbers of turns of the pairs 1 and 3.
    Rope rope =
        rope(Type.YARN, 100, 8, 4, 1000)
            .with()
            .truncate(false)
            .betaFast(turns * Math.pow(10, -0.5))
            .betaSlow(turns * Math.pow(10, -1.5))
            .build();
    assertArrayEquals(
        new double[] {1, Math.pow(10, -0.5), 0.1 * (0.5 + 0.5 / 4), Math.pow(10, -1.5) / 4},
        rope.frequencies(9),
        1e-9);
    assertEquals(4000, rope.maxTokens(1000));
  }

  @Test
  void longRopeHasFactorsWithinAndBeyondTheContext() {
    Rope rope = rope(Type.LONGROPE, 1e4, 4, 8, 16);
    assertArrayEquals(new double[] {1, 0.005}, rope.frequencies(16), EXACT);
    assertArrayEquals(new double[] {0.2, 0.001}, rope.frequencies(17), EXACT);
  }

  @Test
  void attentionFactorsAreThoseOfPhi3AndYarn() throws IOException {
    String factors = "[1.0" + ", 1.0".repeat(47) + "]";
    Rope phi =
        read(
            """
            "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
            "partial_rotary_factor": 0.75,
            "rope_scaling": {"type": "longrope", "short_factor": %1$s, "long_factor": %1$s}"""
                .formatted(factors));
    assertEquals(96, phi.size());
    assertEquals(1.1902380714238083, phi.attentionFactor(), EXACT);
    Rope yarn =
        read(
            """
            "max_position_embeddings": 32768, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}""");
    assertEquals(1.138629436111989, yarn.attentionFactor(), EXACT);
    Rope both =
        read(
            """
            "max_position_embeddings": 4096, "rope_scaling": {"rope_type": "yarn", "factor": 40,
            "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 1.0}""");
    assertEquals(1, both.attentionFactor(), EXACT);
  }

  @Test
  void linearScalingStretchesTheContextUnlessThePositionsAreStretched() throws IOException {
    String scaling =
        """
        "max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4}""";
    assertEquals(16384, config("llama", scaling).maxTokens());
    EncoderConfig gemma = config("gemma3_text", scaling);
    assertEquals(4096, gemma.maxTokens());
    assertEquals(0.25, gemma.decoder().rope().frequencies(9)[0], EXACT);
  }

  private static EncoderConfig linear(String files) throws IOException {
    EncoderConfig config =
        config(
            "llama",
            """
            "max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4},
            "eos_token_id": 2""");
    ObjectMapper json = new ObjectMapper();
    return HuggingFaceConfig.with(
        config, json.readTree("{}"), json.readTree(files), Path.of("model"));
  }

  /** As DeepSeek Coder's: 16384 positions and factor 4, of a context of 16384. */
  @Test
  void aTokenizersLongestTextHoldsWhereItIsBetweenPositionsAndWhatTheyAreStretchedTo()
      throws IOException {
    assertEquals(4096, linear("{\"model_max_length\": 4096}").maxTokens());
    assertEquals(5000, linear("{\"model_max_length\": 5000}").maxTokens());
    for (String other : List.of("16384", "20000", "4095", "1000000000000000019884624838656")) {
      assertEquals(16384, linear("{\"model_max_length\": " + other + "}").maxTokens(), other);
    }
    assertEquals(16384, linear("{}").maxTokens());
    // Frequencies are as they were, and so are runs.
    assertTrue(linear("{}").computesAs(linear("{\"model_max_length\": 5000}")));
    assertFalse(linear("{}").computesAs(linear("{}").with().layers(2).build()));
  }

  @Test
  void twoDifferentScalingsAreRefused() throws IOException {
    String scaling = "\"max_position_embeddings\": 4096, \"rope_theta\": 5e5, \"rope_scaling\": ";
    String parameters = ", \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5e5}";
    String linear = "{\"type\":\"linear\",\"factor\":4.0}";
    String message =
        assertThrows(FormatException.class, () -> config("llama", scaling + linear + parameters))
            .getMessage();
    assertEquals(
        "test: rope_scaling is "
            + linear
            + " and rope_parameters is {\"rope_type\":\"default\",\"rope_theta\":500000.0}, which rotate otherwise; leave out the one that is not meant",
        message);
    for (String none : List.of("null", "{}", "{\"type\": \"default\"}")) {
      assertEquals(
          Type.DEFAULT, config("llama", scaling + none + parameters).decoder().rope().type());
    }
    assertEquals(
        4,
        config("llama", scaling + linear + ", \"rope_parameters\": " + linear)
            .decoder()
            .rope()
            .factor());
  }

  @Test
  void absentHeadsOfKeysAreThoseOfTheFamily() throws IOException {
    Map<String, Integer> heads = Map.of("llama", 24, "mistral", 8, "gemma2", 4, "smollm3", 4);
    for (Map.Entry<String, Integer> family : heads.entrySet()) {
      assertEquals(
          family.getValue(),
          config(family.getKey(), "\"rope_theta\": 100").decoder().keyValueHeads(),
          family.getKey());
      assertEquals(
          24,
          config(family.getKey(), "\"num_key_value_heads\": null").decoder().keyValueHeads(),
          family.getKey());
    }
  }

  @Test
  void whatIsNotKnownIsNamed() {
    var kind =
        assertThrows(
            FormatException.class, () -> read("\"rope_scaling\": {\"rope_type\": \"mrope\"}"));
    assertTrue(kind.getMessage().contains("rope_type 'mrope' is not supported"), kind.getMessage());
    var factor =
        assertThrows(FormatException.class, () -> read("\"rope_scaling\": {\"type\": \"linear\"}"));
    assertTrue(factor.getMessage().contains("has no factor"), factor.getMessage());
    var pairs =
        assertThrows(
            FormatException.class,
            () ->
                read(
                    "\"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1], \"long_factor\": [1]}"));
    assertTrue(pairs.getMessage().contains("short_factor must have 64 values"), pairs.getMessage());
  }
}
