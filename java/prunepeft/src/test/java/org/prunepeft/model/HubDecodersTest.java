package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.model.DecoderFamilies.Family;

/** The config.json of decoders on Hugging Face's hub, with all the fields that they have. */
class HubDecodersTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Sizes alone, so that a random model of this kind is small. */
  private static final Map<String, Integer> SMALL =
      Map.ofEntries(
          Map.entry("hidden_size", 32),
          Map.entry("head_dim", 8),
          Map.entry("intermediate_size", 35),
          Map.entry("num_attention_heads", 4),
          Map.entry("num_key_value_heads", 2),
          Map.entry("num_hidden_layers", 7),
          Map.entry("query_pre_attn_scalar", 8),
          Map.entry("vocab_size", DecoderFamilies.VOCABULARY));

  private static final int WINDOW = 3;

  private static ObjectNode json(String name) {
    try (InputStream stream = HubDecodersTest.class.getResourceAsStream("hub/" + name + ".json")) {
      return (ObjectNode) JSON.readTree(stream);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Small models with the other fields of these files. */
  static Stream<Family> small() {
    return models().map(model -> small((String) model.get()[0]));
  }

  private static Family small(String name) {
    ObjectNode json = json(name);
    SMALL.forEach(
        (field, size) -> {
          if (json.has(field)) {
            json.put(field, size);
          }
        });
    if (json.path("sliding_window").isInt()) {
      json.put("sliding_window", WINDOW);
    }
    for (String perLayer : List.of("layer_types", "no_rope_layers")) {
      cut(json.path(perLayer) instanceof ArrayNode list ? list : null, 7);
    }
    // One for each rotated pair of a head.
    for (String factors : List.of("long_factor", "short_factor")) {
      cut(json.path("rope_scaling").path(factors) instanceof ArrayNode list ? list : null, 3);
    }
    return new Family(name, json);
  }

  private static void cut(ArrayNode list, int size) {
    while (list != null && list.size() > size) {
      list.remove(size);
    }
  }

  private static Rope rope(double theta, int size, int positions) {
    return DecoderFamilies.rope(theta, size, positions)
        .with()
        .lowFrequencyFactor(1)
        .highFrequencyFactor(4)
        .betaFast(32)
        .betaSlow(1)
        .build();
  }

  private static DecoderConfig shape(int keyValueHeads, Rope rope, boolean tied, Integer... ends) {
    return DecoderFamilies.shape(keyValueHeads, rope.size(), rope)
        .with()
        .tied(tied)
        .endTokens(List.of(ends))
        .build();
  }

  private static List<Integer> windows(int layers, int window, int every) {
    return IntStream.range(0, layers).mapToObj(i -> (i + 1) % every == 0 ? 0 : window).toList();
  }

  /** Each with what it is, and the number of parameters that its model card or authors give. */
  static Stream<Arguments> models() {
    Rope llama3 =
        rope(5e5, 64, 131072)
            .with()
            .type(Rope.Type.LLAMA3)
            .factor(32)
            .originalPositions(8192)
            .build();
    DecoderConfig mistral = shape(8, rope(1e4, 128, 32768), false, 2);
    DecoderConfig gemma2 =
        shape(4, rope(1e4, 256, 8192), true, 1)
            .with()
            .attentionScale(1.0 / 16)
            .attentionCap(50)
            .logitCap(30)
            .embeddingScale(48)
            .postNorms(true)
            .unitOffsetNorms(true)
            .windows(IntStream.range(0, 26).mapToObj(i -> i % 2 == 0 ? 4096 : 0).toList())
            .build();
    DecoderConfig gemma3 =
        gemma2
            .with()
            .keyValueHeads(1)
            .rope(rope(1e6, 256, 32768))
            .localRope(rope(1e4, 256, 32768))
            .attentionCap(0)
            .logitCap(0)
            .embeddingScale(Math.sqrt(1152))
            .queryKeyNorms(true)
            .windows(windows(26, 512, 6))
            .endTokens(List.of(1, 106))
            .build();
    List<Double> longFactors =
        IntStream.range(0, 48)
            .mapToObj(
                i -> json("phi-4-mini-instruct").at("/rope_scaling/long_factor/" + i).doubleValue())
            .toList();
    Rope longrope =
        rope(1e4, 96, 131072)
            .with()
            .type(Rope.Type.LONGROPE)
            .factor(32)
            .originalPositions(4096)
            // ln 32 / ln 4096 is 5 / 12.
            .attentionFactor(Math.sqrt(1 + 5.0 / 12))
            .shortFactors(IntStream.range(0, 48).mapToObj(i -> 1.0).toList())
            .longFactors(longFactors)
            .build();
    return Stream.of(
        Arguments.of(
            "llama-3.2-1b",
            decoder(
                    Architecture.LLAMA,
                    EncoderConfig.bert(16, 2048, 32, 8192, 128256, 131072),
                    1e-5)
                .padding(128001)
                .decoder(shape(8, llama3, true, 128001))
                .build(),
            1_235_814_400L),
        Arguments.of(
            "mistral-7b-v0.1",
            decoder(
                    Architecture.MISTRAL,
                    EncoderConfig.bert(32, 4096, 32, 14336, 32000, 32768),
                    1e-5)
                .padding(2)
                .decoder(mistral.with().windows(windows(32, 4096, 33)).build())
                .build(),
            7_241_732_096L),
        Arguments.of(
            "mistral-7b-v0.3",
            decoder(
                    Architecture.MISTRAL,
                    EncoderConfig.bert(32, 4096, 32, 14336, 32768, 32768),
                    1e-5)
                .padding(2)
                .decoder(mistral.with().rope(rope(1e6, 128, 32768)).build())
                .build(),
            7_248_023_552L),
        Arguments.of(
            "qwen2.5-0.5b",
            decoder(Architecture.QWEN2, EncoderConfig.bert(24, 896, 14, 4864, 151936, 32768), 1e-6)
                .padding(151643)
                .decoder(
                    shape(2, rope(1e6, 64, 32768), true, 151643).with().attentionBias(true).build())
                .build(),
            494_032_768L),
        Arguments.of(
            "qwen3-0.6b",
            decoder(Architecture.QWEN3, EncoderConfig.bert(28, 1024, 16, 3072, 151936, 40960), 1e-6)
                .padding(151645)
                .decoder(
                    shape(8, rope(1e6, 128, 40960), true, 151645)
                        .with()
                        .queryKeyNorms(true)
                        .build())
                .build(),
            596_049_920L),
        Arguments.of(
            "gemma-2-2b",
            decoder(Architecture.GEMMA2, EncoderConfig.bert(26, 2304, 8, 9216, 256000, 8192), 1e-6)
                .activation(HiddenActivation.GELU_TANH)
                .decoder(gemma2)
                .build(),
            2_614_341_888L),
        Arguments.of(
            "gemma-3-1b-it",
            decoder(Architecture.GEMMA3, EncoderConfig.bert(26, 1152, 4, 6912, 262144, 32768), 1e-6)
                .activation(HiddenActivation.GELU_TANH)
                .decoder(gemma3)
                .build(),
            999_885_952L),
        Arguments.of(
            "phi-3-mini-4k-instruct",
            decoder(Architecture.PHI3, EncoderConfig.bert(32, 3072, 32, 8192, 32064, 4096), 1e-5)
                .padding(32000)
                .decoder(
                    shape(32, rope(1e4, 96, 4096), false, 32000)
                        .with()
                        .windows(windows(32, 2047, 33))
                        .build())
                .build(),
            3_821_079_552L),
        Arguments.of(
            "phi-4-mini-instruct",
            decoder(Architecture.PHI3, EncoderConfig.bert(32, 3072, 24, 8192, 200064, 131072), 1e-5)
                .padding(199999)
                .decoder(
                    shape(8, longrope, true, 199999)
                        .with()
                        .headSize(128)
                        .attentionScale(1 / Math.sqrt(128))
                        .windows(windows(32, 262144, 33))
                        .build())
                .build(),
            3_836_021_760L),
        Arguments.of(
            "smollm2-135m",
            decoder(Architecture.LLAMA, EncoderConfig.bert(30, 576, 9, 1536, 49152, 8192), 1e-5)
                .decoder(shape(3, rope(1e5, 64, 8192), true, 0))
                .build(),
            134_515_008L),
        Arguments.of(
            "smollm3-3b",
            decoder(
                    Architecture.SMOLLM3,
                    EncoderConfig.bert(36, 2048, 16, 11008, 128256, 65536),
                    1e-6)
                .padding(128004)
                .decoder(
                    shape(4, rope(5e6, 128, 65536), true, 128012)
                        .with()
                        .rotated(IntStream.range(0, 36).mapToObj(i -> i % 4 != 3).toList())
                        .build())
                .build(),
            3_075_098_624L));
  }

  private static EncoderConfigBuilder decoder(
      Architecture architecture, EncoderConfig sizes, double epsilon) {
    return sizes
        .with()
        .architecture(architecture)
        .types(0)
        .layerNormEpsilon(epsilon)
        .activation(HiddenActivation.SILU)
        .absolutePositions(false);
  }

  @ParameterizedTest
  @MethodSource("models")
  void configurationsAreReadAsWhatTheModelsAre(String name, EncoderConfig expected, long parameters)
      throws IOException {
    EncoderConfig read = HuggingFaceConfig.read(json(name), name);
    assertEquals(expected, read);
    assertEquals(parameters, parameters(read));
  }

  /** Weights of embeddings, layers, normalisations and output layer. */
  private static long parameters(EncoderConfig config) {
    DecoderConfig decoder = config.decoder();
    long hidden = config.hidden();
    long queries = (long) config.heads() * decoder.headSize();
    long keys = (long) decoder.keyValueHeads() * decoder.headSize();
    long attention = hidden * (queries + 2 * keys) + queries * hidden;
    long biases = decoder.attentionBias() ? queries + 2 * keys : 0;
    long norms =
        (decoder.postNorms() ? 4 : 2) * hidden
            + (decoder.queryKeyNorms() ? 2 * decoder.headSize() : 0);
    long layer = attention + biases + 3 * hidden * config.intermediate() + norms;
    long table = config.vocabulary() * hidden;
    return (decoder.tied() ? 1 : 2) * table + config.layers() * layer + hidden;
  }
}
