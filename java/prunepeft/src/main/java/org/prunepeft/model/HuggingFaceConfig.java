package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.prunepeft.io.FormatException;

/**
 * An encoder's configuration in Hugging Face's config.json. What is absent has the value that the
 * library gives it; what would change the computation in a way that is not supported is refused.
 */
public final class HuggingFaceConfig {
  private final String origin;
  private final JsonNode json;

  private HuggingFaceConfig(String origin, JsonNode json) {
    this.origin = origin;
    this.json = json;
  }

  /**
   * @param json content of a config.json
   * @param origin what messages call it
   * @throws FormatException if the architecture or a setting is not supported, or a size is missing
   *     or out of range
   */
  public static EncoderConfig read(JsonNode json, String origin) throws FormatException {
    try {
      return new HuggingFaceConfig(origin, json).read();
    } catch (IllegalArgumentException e) {
      throw new FormatException(origin + ": " + e.getMessage(), e);
    }
  }

  private EncoderConfig read() {
    JsonNode type = json.path("model_type");
    if (!type.isTextual()) {
      throw new IllegalArgumentException("model_type is missing");
    }
    Architecture architecture = Architecture.ofModelType(type.textValue());
    refuse("is_decoder", Set.of("false"));
    refuse("add_cross_attention", Set.of("false"));
    refuse("position_embedding_type", Set.of("absolute"));
    if (json.hasNonNull("quantization_config")) {
      throw new IllegalArgumentException(
          "quantised weights (quantization_config) are not supported; take the model in float32, float16 or bfloat16");
    }
    return switch (architecture) {
      case DISTILBERT -> distilBert();
      case DEBERTA_V2 -> deberta();
      default -> bert(architecture);
    };
  }

  private EncoderConfig bert(Architecture architecture) {
    int hidden = size("hidden_size");
    return new EncoderConfig(
        architecture,
        size("num_hidden_layers"),
        hidden,
        size("num_attention_heads"),
        size("intermediate_size"),
        size("vocab_size"),
        integer("max_position_embeddings", 512),
        integer("type_vocab_size", 2),
        number("layer_norm_eps", 1e-12),
        architecture.hasEmbeddingSize() ? integer("embedding_size", 128) : hidden,
        activation("hidden_act", "gelu"),
        integer("pad_token_id", architecture.positionsBehindPadding() ? 1 : 0),
        true,
        null,
        null,
        null);
  }

  private EncoderConfig distilBert() {
    int hidden = size("dim");
    return new EncoderConfig(
        Architecture.DISTILBERT,
        size("n_layers"),
        hidden,
        size("n_heads"),
        size("hidden_dim"),
        size("vocab_size"),
        integer("max_position_embeddings", 512),
        0,
        1e-12,
        hidden,
        activation("activation", "gelu"),
        integer("pad_token_id", 0),
        true,
        null,
        null,
        null);
  }

  private EncoderConfig deberta() {
    int hidden = size("hidden_size");
    int heads = size("num_attention_heads");
    int headSize = integer("attention_head_size", hidden / heads);
    if ((long) headSize * heads != hidden) {
      throw new IllegalArgumentException(
          "attention_head_size must be hidden_size / num_attention_heads, %d, got %d"
              .formatted(hidden / heads, headSize));
    }
    int positions = integer("max_position_embeddings", 512);
    boolean relative = flag("relative_attention", false);
    if (!relative && !words("pos_att_type").isEmpty()) {
      throw new IllegalArgumentException(
          "pos_att_type without relative_attention is not supported");
    }
    int kernel = integer("conv_kernel_size", 0);
    return new EncoderConfig(
        Architecture.DEBERTA_V2,
        size("num_hidden_layers"),
        hidden,
        heads,
        size("intermediate_size"),
        size("vocab_size"),
        positions,
        integer("type_vocab_size", 0),
        number("layer_norm_eps", 1e-7),
        integer("embedding_size", hidden),
        activation("hidden_act", "gelu"),
        integer("pad_token_id", 0),
        flag("position_biased_input", true),
        relative ? relativeAttention(positions) : null,
        kernel == 0
            ? null
            : new Convolution(kernel, integer("conv_groups", 1), activation("conv_act", "tanh")),
        null);
  }

  private RelativeAttention relativeAttention(int positions) {
    List<String> types = words("pos_att_type");
    for (String type : types) {
      if (!type.equals("c2p") && !type.equals("p2c")) {
        throw new IllegalArgumentException(
            "pos_att_type '" + type + "' is not supported; there are c2p, p2c");
      }
    }
    int distance = integer("max_relative_positions", -1);
    return new RelativeAttention(
        Math.max(0, integer("position_buckets", -1)),
        distance < 1 ? positions : distance,
        types.contains("c2p"),
        types.contains("p2c"),
        flag("share_att_key", false),
        words("norm_rel_ebd").contains("layer_norm"));
  }

  /** A list, or its entries in one string, parted by bars. */
  private List<String> words(String name) {
    JsonNode value = json.path(name);
    List<String> words = new ArrayList<>();
    if (value.isArray()) {
      value.forEach(word -> words.add(word.asText().strip().toLowerCase(Locale.ROOT)));
    } else if (value.isTextual()) {
      for (String word : value.textValue().split("\\|")) {
        if (!word.isBlank()) {
          words.add(word.strip().toLowerCase(Locale.ROOT));
        }
      }
    }
    return words;
  }

  private void refuse(String name, Set<String> supported) {
    JsonNode value = json.path(name);
    if (!value.isMissingNode() && !value.isNull() && !supported.contains(value.asText())) {
      throw new IllegalArgumentException(
          "%s %s is not supported; only %s is"
              .formatted(name, value, String.join(", ", supported)));
    }
  }

  private HiddenActivation activation(String name, String absent) {
    JsonNode value = json.path(name);
    return HiddenActivation.of(value.isTextual() ? value.textValue() : absent);
  }

  private int size(String name) {
    if (!json.hasNonNull(name)) {
      throw new IllegalArgumentException(name + " is missing");
    }
    return integer(name, 0);
  }

  private int integer(String name, int absent) {
    JsonNode value = json.path(name);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isIntegralNumber() || !value.canConvertToInt()) {
      throw new IllegalArgumentException(name + " must be an integer, got " + value);
    }
    return value.intValue();
  }

  private double number(String name, double absent) {
    JsonNode value = json.path(name);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isNumber()) {
      throw new IllegalArgumentException(name + " must be a number, got " + value);
    }
    return value.doubleValue();
  }

  private boolean flag(String name, boolean absent) {
    JsonNode value = json.path(name);
    if (value.isMissingNode() || value.isNull()) {
      return absent;
    }
    if (!value.isBoolean()) {
      throw new IllegalArgumentException(name + " must be true or false, got " + value);
    }
    return value.booleanValue();
  }

  /**
   * The content of a config.json from which {@link #read} and Hugging Face's library read it back.
   */
  public static Map<String, Object> write(EncoderConfig config) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("model_type", config.architecture().modelType());
    json.put("vocab_size", config.vocabulary());
    json.put("max_position_embeddings", config.positions());
    json.put("pad_token_id", config.padding());
    if (config.architecture() == Architecture.DISTILBERT) {
      json.put("dim", config.hidden());
      json.put("n_layers", config.layers());
      json.put("n_heads", config.heads());
      json.put("hidden_dim", config.intermediate());
      json.put("activation", config.activation().hiddenAct());
      return json;
    }
    json.put("hidden_size", config.hidden());
    json.put("num_hidden_layers", config.layers());
    json.put("num_attention_heads", config.heads());
    json.put("intermediate_size", config.intermediate());
    json.put("hidden_act", config.activation().hiddenAct());
    json.put("layer_norm_eps", config.layerNormEpsilon());
    json.put("type_vocab_size", config.types());
    if (config.embedding() != config.hidden() || config.architecture() == Architecture.ELECTRA) {
      json.put("embedding_size", config.embedding());
    }
    if (config.architecture() == Architecture.DEBERTA_V2) {
      writeDeberta(config, json);
    }
    return json;
  }

  private static void writeDeberta(EncoderConfig config, Map<String, Object> json) {
    json.put("position_biased_input", config.absolutePositions());
    RelativeAttention relative = config.relative();
    json.put("relative_attention", relative != null);
    if (relative != null) {
      List<String> types = new ArrayList<>();
      if (relative.positionToContent()) {
        types.add("p2c");
      }
      if (relative.contentToPosition()) {
        types.add("c2p");
      }
      json.put("pos_att_type", types);
      json.put("position_buckets", relative.buckets() == 0 ? -1 : relative.buckets());
      json.put("max_relative_positions", relative.maxDistance());
      json.put("share_att_key", relative.sharedProjections());
      json.put("norm_rel_ebd", relative.normalised() ? "layer_norm" : "none");
    }
    Convolution convolution = config.convolution();
    if (convolution != null) {
      json.put("conv_kernel_size", convolution.kernel());
      json.put("conv_groups", convolution.groups());
      json.put("conv_act", convolution.activation().hiddenAct());
    }
  }
}
