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
    return config("llama", settings).decoder().rope();
  }

  private static Rope phi3(String settings) throws IOException {
    return config("phi3", settings).decoder().rope();
  }

  private static void refused(String family, String settings, String... parts) {
    String message =
        assertThrows(FormatException.class, () -> config(family, settings)).getMessage();
    assertTrue(message.startsWith("test: "), message);
    for (String part : parts) {
      assertTrue(message.contains(part), message);
    }
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
        phi3(
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

  /** Factors of all 64 pairs, with other members. */
  private static String longRope(String name, String others) {
    String factors = "[1.0" + ", 1.0".repeat(63) + "]";
    return "\"rope_scaling\": {\"type\": \"%s\", \"short_factor\": %2$s, \"long_factor\": %2$s%3$s}"
        .formatted(name, factors, others);
  }

  @Test
  void phi3HasOneRuleByThreeNames() throws IOException {
    String context =
        "\"max_position_embeddings\": 8192, \"original_max_position_embeddings\": 2048, ";
    Rope rope = phi3(context + longRope("longrope", ""));
    assertEquals(Type.LONGROPE, rope.type());
    assertEquals(rope, phi3(context + longRope("su", "")));
    assertEquals(rope, phi3(context + longRope("yarn", "")));
    for (String other : List.of("linear", "dynamic", "llama3")) {
      refused(
          "phi3",
          longRope(other, ", \"factor\": 4.0"),
          "rope_type '" + other + "' is not supported in a phi3",
          "default and longrope");
    }
    refused("llama", longRope("su", ""), "rope_type 'su' is not supported");
    assertEquals(Type.YARN, read("\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4.0}").type());
  }

  @Test
  void theOriginalContextBesideTheScalingHolds() throws IOException {
    String own = ", \"original_max_position_embeddings\": 1024";
    // Phi-3's is 4096 where the file is silent.
    Rope silent = phi3("\"max_position_embeddings\": 8192, " + longRope("longrope", ""));
    assertEquals(4096, silent.originalPositions());
    assertEquals(2, silent.factor());
    assertEquals(silent, phi3("\"max_position_embeddings\": 8192, " + longRope("longrope", own)));
    String beside =
        "\"max_position_embeddings\": 8192, \"original_max_position_embeddings\": 2048, ";
    assertEquals(2048, phi3(beside + longRope("longrope", own)).originalPositions());
    assertEquals(2048, read(beside + longRope("longrope", own)).originalPositions());
    String llama3 =
        "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0"
            + own
            + "}";
    refused(
        "llama",
        beside + llama3,
        "original_max_position_embeddings is 2048, and that of rope_scaling or rope_parameters 1024",
        "leave out the one that is not meant");
    assertEquals(
        1024, read("\"max_position_embeddings\": 8192" + own + ", " + llama3).originalPositions());
    assertEquals(1024, read("\"max_position_embeddings\": 8192, " + llama3).originalPositions());
  }

  @Test
  void aFactorOfLongRopeThatVersionsReadOtherwiseIsRefused() throws IOException {
    String context =
        "\"max_position_embeddings\": 8192, \"original_max_position_embeddings\": 2048, ";
    refused(
        "phi3",
        context + longRope("longrope", ", \"factor\": 8.0"),
        "the factor of longrope is 8.0",
        "is 4.0",
        "or name attention_factor");
    Rope same = phi3(context + longRope("longrope", ", \"factor\": 4.0"));
    assertEquals(phi3(context + longRope("longrope", "")), same);
    assertEquals(Math.sqrt(1 + Math.log(4) / Math.log(2048)), same.attentionFactor(), EXACT);
    // It scales cosine and sine alone, which attention_factor says by itself.
    Rope named =
        phi3(context + longRope("longrope", ", \"factor\": 8.0, \"attention_factor\": 1.5"));
    assertEquals(1.5, named.attentionFactor());
    // Where nothing is named beside the scaling, all go by the factor.
    Rope own =
        read(
            "\"max_position_embeddings\": 8192, "
                + longRope(
                    "longrope", ", \"factor\": 8.0, \"original_max_position_embeddings\": 2048"));
    assertEquals(8, own.factor());
    assertEquals(Math.sqrt(1 + Math.log(8) / Math.log(2048)), own.attentionFactor(), EXACT);
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
  void layersOfAnotherKindThanTheWindowSaysAreRefused() throws IOException {
    String window = "\"sliding_window\": 4096, \"layer_types\": ";
    for (String family : List.of("mistral", "phi3")) {
      assertEquals(
          List.of(4096),
          config(family, window + "[\"sliding_attention\"]").decoder().windows(),
          family);
      refused(
          family,
          window + "[\"full_attention\"]",
          "layer_types has full_attention for layer 0, but sliding_window is 4096",
          "all layers of a " + family);
      refused(
          family,
          "\"sliding_window\": null, \"layer_types\": [\"sliding_attention\"]",
          "layer_types has sliding_attention for layer 0, but sliding_window is null");
      assertEquals(
          List.of(),
          config(family, "\"sliding_window\": null, \"layer_types\": [\"full_attention\"]")
              .decoder()
              .windows());
    }
    assertEquals(List.of(0), config("gemma2", window + "[\"full_attention\"]").decoder().windows());
    for (String family : List.of("llama", "qwen3", "gemma2", "smollm3")) {
      refused(
          family,
          window + "[\"chunked_attention\"]",
          "layer_types has 'chunked_attention' for layer 0, which is not supported",
          "full_attention and sliding_attention");
    }
    refused("llama", "\"layer_types\": [\"full_attention\", \"full_attention\"]", "1 layers need");
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
                phi3(
                    "\"rope_scaling\": {\"type\": \"su\", \"short_factor\": [1], \"long_factor\": [1]}"));
    assertTrue(pairs.getMessage().contains("short_factor must have 64 values"), pairs.getMessage());
  }
}
