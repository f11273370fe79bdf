package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.io.FormatException;

/**
 * A model's configuration in Hugging Face's config.json. What is absent has the value that the
 * library gives it; what would change the computation in a way that is not supported is refused.
 */
public final class HuggingFaceConfig {
  private final ConfigFields json;

  private HuggingFaceConfig(ConfigFields json) {
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
      return new HuggingFaceConfig(new ConfigFields(json)).read();
    } catch (IllegalArgumentException e) {
      throw new FormatException(origin + ": " + e.getMessage(), e);
    }
  }

  /**
   * {@return a decoder with what the files beside its config.json say of its texts}
   *
   * @param generation generation_config.json
   * @param tokenizer tokenizer_config.json
   * @param directory of both, for messages
   * @throws FormatException if eos_token_id is no number and no list of them
   */
  static EncoderConfig with(
      EncoderConfig decoder, JsonNode generation, JsonNode tokenizer, Path directory)
      throws FormatException {
    try {
      return DecoderJson.with(decoder, new ConfigFields(generation), new ConfigFields(tokenizer));
    } catch (IllegalArgumentException e) {
      throw new FormatException(
          "%s: %s"
              .formatted(directory.resolve(HuggingFaceDirectory.GENERATION_CONFIG), e.getMessage()),
          e);
    }
  }

  private EncoderConfig read() {
    Architecture architecture = Architecture.ofModelType(json.text("model_type"));
    json.refuse("is_decoder", Set.of("false"));
    json.refuse("add_cross_attention", Set.of("false"));
    json.refuse("position_embedding_type", Set.of("absolute"));
    // Of bitsandbytes' weights float numbers are made when they are read.
    if (json.has("quantization_config")
        && !json.object("quantization_config")
            .words("quant_method")
            .equals(List.of("bitsandbytes"))) {
      throw new IllegalArgumentException(
          "quantised weights (quantization_config) are not supported but for bitsandbytes' NF4 and int8; take the model in float32, float16 or bfloat16");
    }
    if (architecture.isDecoder()) {
      return new DecoderJson(json, architecture).read();
    }
    return switch (architecture) {
      case DISTILBERT -> distilBert();
      case DEBERTA_V2 -> deberta();
      default -> bert(architecture);
    };
  }

  private EncoderConfig bert(Architecture architecture) {
    int hidden = json.size("hidden_size");
    return new EncoderConfig(
        architecture,
        json.size("num_hidden_layers"),
        hidden,
        json.size("num_attention_heads"),
        json.size("intermediate_size"),
        json.size("vocab_size"),
        json.integer("max_position_embeddings", 512),
        json.integer("type_vocab_size", 2),
        json.number("layer_norm_eps", 1e-12),
        architecture.hasEmbeddingSize() ? json.integer("embedding_size", 128) : hidden,
        json.activation("hidden_act", "gelu"),
        json.integer("pad_token_id", architecture.positionsBehindPadding() ? 1 : 0),
        true,
        null,
        null,
        null);
  }

  private EncoderConfig distilBert() {
    int hidden = json.size("dim");
    return new EncoderConfig(
        Architecture.DISTILBERT,
        json.size("n_layers"),
        hidden,
        json.size("n_heads"),
        json.size("hidden_dim"),
        json.size("vocab_size"),
        json.integer("max_position_embeddings", 512),
        0,
        1e-12,
        hidden,
        json.activation("activation", "gelu"),
        json.integer("pad_token_id", 0),
        true,
        null,
        null,
        null);
  }

  private EncoderConfig deberta() {
    int hidden = json.size("hidden_size");
    int heads = json.size("num_attention_heads");
    // Of no heads EncoderConfig tells.
    int headSize = heads < 1 ? 0 : json.integer("attention_head_size", hidden / heads);
    if (heads >= 1 && (long) headSize * heads != hidden) {
      throw new IllegalArgumentException(
          "attention_head_size must be hidden_size / num_attention_heads, %d, got %d"
              .formatted(hidden / heads, headSize));
    }
    int positions = json.integer("max_position_embeddings", 512);
    boolean relative = json.flag("relative_attention", false);
    if (!relative && !json.words("pos_att_type").isEmpty()) {
      throw new IllegalArgumentException(
          "pos_att_type without relative_attention is not supported");
    }
    int kernel = json.integer("conv_kernel_size", 0);
    return new EncoderConfig(
        Architecture.DEBERTA_V2,
        json.size("num_hidden_layers"),
        hidden,
        heads,
        json.size("intermediate_size"),
        json.size("vocab_size"),
        positions,
        json.integer("type_vocab_size", 0),
        json.number("layer_norm_eps", 1e-7),
        json.integer("embedding_size", hidden),
        json.activation("hidden_act", "gelu"),
        json.integer("pad_token_id", 0),
        json.flag("position_biased_input", true),
        relative ? relativeAttention(positions) : null,
        kernel == 0
            ? null
            : new Convolution(
                kernel, json.integer("conv_groups", 1), json.activation("conv_act", "tanh")),
        null);
  }

  private RelativeAttention relativeAttention(int positions) {
    List<String> types = json.words("pos_att_type");
    for (String type : types) {
      if (!type.equals("c2p") && !type.equals("p2c")) {
        throw new IllegalArgumentException(
            "pos_att_type '" + type + "' is not supported; there are c2p, p2c");
      }
    }
    int distance = json.integer("max_relative_positions", -1);
    return new RelativeAttention(
        Math.max(0, json.integer("position_buckets", -1)),
        distance < 1 ? positions : distance,
        types.contains("c2p"),
        types.contains("p2c"),
        json.flag("share_att_key", false),
        json.words("norm_rel_ebd").contains("layer_norm"));
  }

  /**
   * The content of a config.json from which {@link #read} and Hugging Face's library read it back.
   */
  public static Map<String, Object> write(EncoderConfig config) {
    if (config.decoder() != null) {
      return DecoderJson.write(config);
    }
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
