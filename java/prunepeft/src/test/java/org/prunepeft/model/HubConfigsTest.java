package org.prunepeft.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

/** The config.json of models on Hugging Face's hub, with all the fields that they have. */
class HubConfigsTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** Sizes alone, so that a random model of this kind is small. */
  private static final Map<String, Integer> SMALL =
      Map.ofEntries(
          Map.entry("hidden_size", 24),
          Map.entry("dim", 24),
          Map.entry("num_attention_heads", 3),
          Map.entry("n_heads", 3),
          Map.entry("attention_head_size", 8),
          Map.entry("intermediate_size", 35),
          Map.entry("hidden_dim", 35),
          Map.entry("num_hidden_layers", 3),
          Map.entry("n_layers", 3),
          Map.entry("max_position_embeddings", 34),
          Map.entry("position_buckets", 8),
          Map.entry("embedding_size", 10),
          Map.entry("pooler_hidden_size", 24),
          Map.entry("vocab_size", 53));

  @TempDir Path directory;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static ObjectNode json(String name) throws IOException {
    try (InputStream stream = HubConfigsTest.class.getResourceAsStream("hub/" + name + ".json")) {
      return (ObjectNode) JSON.readTree(stream);
    }
  }

  private static EncoderConfig config(
      Architecture architecture, int layers, int vocabulary, int positions, int types) {
    boolean roberta = positions == 514;
    return EncoderConfig.bert(layers, 768, 12, 3072, vocabulary, positions)
        .with()
        .architecture(architecture)
        .types(types)
        .layerNormEpsilon(roberta ? 1e-5 : 1e-12)
        .padding(roberta ? 1 : 0)
        .build();
  }

  private static EncoderConfig deberta(
      int layers, int hidden, int heads, int intermediate, Convolution convolution) {
    return EncoderConfig.bert(layers, hidden, heads, intermediate, 128100, 512)
        .with()
        .architecture(Architecture.DEBERTA_V2)
        .types(0)
        .layerNormEpsilon(1e-7)
        .absolutePositions(false)
        .relative(new RelativeAttention(256, 512, true, true, true, true))
        .convolution(convolution)
        .build();
  }

  /** Each model with what it is, and the modules that its checkpoint has beside the encoder. */
  static Stream<Arguments> models() {
    EncoderConfig deberta = deberta(12, 768, 12, 3072, null);
    List<String> debertaHeads = List.of("lm_predictions.lm_head.dense", "mask_predictions.dense");
    return Stream.of(
        Arguments.of(
            "bert-base-uncased",
            config(Architecture.BERT, 12, 30522, 512, 2),
            List.of("bert.pooler.dense", "cls.predictions.transform.dense")),
        Arguments.of(
            "roberta-base",
            config(Architecture.ROBERTA, 12, 50265, 514, 1),
            List.of("roberta.pooler.dense", "lm_head.dense")),
        Arguments.of(
            "xlm-roberta-base",
            config(Architecture.XLM_ROBERTA, 12, 250002, 514, 1),
            List.of("lm_head.dense", "lm_head.layer_norm")),
        Arguments.of(
            "distilbert-base-uncased",
            config(Architecture.DISTILBERT, 6, 30522, 512, 0),
            List.of("vocab_transform", "vocab_layer_norm", "vocab_projector")),
        Arguments.of(
            "electra-small-discriminator",
            EncoderConfig.bert(12, 256, 4, 1024, 30522, 512)
                .with()
                .architecture(Architecture.ELECTRA)
                .embedding(128)
                .build(),
            List.of("discriminator_predictions.dense")),
        Arguments.of("deberta-v3-base", deberta, debertaHeads),
        Arguments.of(
            "deberta-v3-base-saved", deberta, List.of("deberta.pooler.dense", "classifier")),
        Arguments.of(
            "deberta-v2-xlarge",
            deberta(24, 1536, 24, 6144, new Convolution(3, 1, HiddenActivation.GELU)),
            debertaHeads));
  }

  @ParameterizedTest
  @MethodSource("models")
  void configurationsAreReadAsWhatTheModelsAre(String name, EncoderConfig expected)
      throws IOException {
    assertEquals(expected, HuggingFaceConfig.read(json(name), name));
  }

  @ParameterizedTest
  @MethodSource("models")
  void aSmallModelOfTheKindIsLoadedAndAgreesWithFloat64(
      String name, EncoderConfig expected, List<String> heads) throws IOException {
    ObjectNode json = json(name);
    SMALL.forEach(
        (field, size) -> {
          if (json.has(field)) {
            json.put(field, size);
          }
        });
    ReferenceConfig config = ReferenceConfig.read(json);
    Map<String, Tensor> tensors = RandomCheckpoint.tensors(config, TestSeed.random());
    Map<String, Tensor> stored = new TreeMap<>();
    tensors.forEach(
        (tensor, values) -> stored.put(expected.architecture().prefix() + "." + tensor, values));
    for (String head : heads) {
      stored.put(head + ".weight", new Tensor(new long[] {2, 24}, new float[48]));
      stored.put(head + ".bias", new Tensor(new long[] {2}, new float[2]));
    }
    JSON.writeValue(directory.resolve("config.json").toFile(), json);
    SafeTensors.write(directory.resolve("model.safetensors"), stored);
    Files.writeString(directory.resolve("tokenizer.json"), "{}");
    try (Encoder encoder = Models.byName(directory.toString()).loader().load().encoder()) {
      ArchitecturesTest.agree(encoder, config, tensors);
    }
  }
}
