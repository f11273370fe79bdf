package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;

/**
 * A reading of config.json for {@link ReferenceEncoder}, by the documentation of Hugging Face's
 * configurations: what is absent has the documented default.
 *
 * @param activation gelu, gelu_new, relu, silu or tanh
 * @param epsilon what normalisation adds to the variance
 * @param relative whether attention looks at relative positions
 * @param buckets 0: each distance has its own
 * @param kernel of the convolution, 0: none
 */
record ReferenceConfig(
    String modelType,
    int layers,
    int hidden,
    int heads,
    int intermediate,
    int vocabulary,
    int positions,
    int types,
    int embedding,
    int padding,
    double epsilon,
    String activation,
    boolean absolutePositions,
    boolean relative,
    int buckets,
    int maxDistance,
    boolean contentToPosition,
    boolean positionToContent,
    boolean sharedProjections,
    boolean normalised,
    int kernel,
    int groups,
    String convolutionActivation) {

  static ReferenceConfig read(JsonNode json) {
    String type = json.get("model_type").asText();
    boolean distil = type.equals("distilbert");
    boolean deberta = type.equals("deberta-v2");
    int hidden = json.get(distil ? "dim" : "hidden_size").asInt();
    int positions = json.path("max_position_embeddings").asInt(512);
    int furthest = json.path("max_relative_positions").asInt(-1);
    // "p2c|c2p" and ["p2c", "c2p"] both have each word in their text.
    String terms = json.path("pos_att_type").toString();
    return new ReferenceConfig(
        type,
        json.get(distil ? "n_layers" : "num_hidden_layers").asInt(),
        hidden,
        json.get(distil ? "n_heads" : "num_attention_heads").asInt(),
        json.get(distil ? "hidden_dim" : "intermediate_size").asInt(),
        json.get("vocab_size").asInt(),
        positions,
        distil ? 0 : json.path("type_vocab_size").asInt(deberta ? 0 : 2),
        json.path("embedding_size").asInt(type.equals("electra") ? 128 : hidden),
        json.path("pad_token_id").asInt(type.endsWith("roberta") ? 1 : 0),
        distil ? 1e-12 : json.path("layer_norm_eps").asDouble(deberta ? 1e-7 : 1e-12),
        activation(json.path(distil ? "activation" : "hidden_act").asText("gelu")),
        !deberta || json.path("position_biased_input").asBoolean(true),
        deberta && json.path("relative_attention").asBoolean(false),
        Math.max(0, json.path("position_buckets").asInt(-1)),
        furthest < 1 ? positions : furthest,
        terms.contains("c2p"),
        terms.contains("p2c"),
        json.path("share_att_key").asBoolean(false),
        json.path("norm_rel_ebd").toString().contains("layer_norm"),
        deberta ? json.path("conv_kernel_size").asInt(0) : 0,
        json.path("conv_groups").asInt(1),
        activation(json.path("conv_act").asText("tanh")));
  }

  /** What the written config.json says. */
  static ReferenceConfig of(EncoderConfig config) {
    return read(new ObjectMapper().valueToTree(HuggingFaceConfig.write(config)));
  }

  private static String activation(String name) {
    for (List<String> same :
        List.of(
            List.of("gelu", "gelu_python"),
            List.of("gelu_new", "gelu_pytorch_tanh"),
            List.of("silu", "swish"))) {
      if (same.contains(name)) {
        return same.get(0);
      }
    }
    return name;
  }

  boolean roberta() {
    return modelType.endsWith("roberta");
  }

  boolean deberta() {
    return modelType.equals("deberta-v2");
  }

  /** The longest sequence. */
  int maxTokens() {
    return roberta() ? positions - padding - 1 : positions;
  }
}
