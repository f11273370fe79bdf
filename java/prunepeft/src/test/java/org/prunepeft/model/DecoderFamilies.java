package org.prunepeft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.torch.ComputeDevice;

/** Small decoders of each family, as their config.json have them, with random weights. */
public final class DecoderFamilies {
  private static final ObjectMapper JSON = new ObjectMapper();
  public static final int VOCABULARY = 53;

  /**
   * A model.
   *
   * @param json config.json
   */
  public record Family(String name, JsonNode json) {
    public EncoderConfig config() {
      try {
        return HuggingFaceConfig.read(json, name);
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }

    /** Random weights by the names that the library gives them, without the prefix. */
    public Map<String, SafeTensors.Tensor> tensors(Random random) {
      return new Weights(json, random).all();
    }

    public CausalDecoder decoder(Map<String, SafeTensors.Tensor> tensors) {
      try {
        return new CausalDecoder(
            config(), new MapCheckpoint(name, tensors), Precision.FLOAT32, ComputeDevice.CPU);
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }

    @Override
    public String toString() {
      return name;
    }
  }

  private DecoderFamilies() {}

  /** All of them. */
  public static Stream<Family> all() {
    return Stream.of(
        family(
            "Llama 2",
            """
            {"model_type": "llama", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 2,
             "num_attention_heads": 4, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
             "attention_bias": true, "mlp_bias": true, "pad_token_id": null, "eos_token_id": 2}
            """),
        family(
            "Llama with linear scaling",
            """
            {"model_type": "llama", "hidden_size": 20, "intermediate_size": 33, "num_hidden_layers": 2,
             "num_attention_heads": 5, "max_position_embeddings": 32, "rope_theta": 1000.0,
             "rope_scaling": {"type": "linear", "factor": 2.5}}
            """),
        family(
            "Llama with dynamic scaling",
            """
            {"model_type": "llama", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 2,
             "num_attention_heads": 3, "num_key_value_heads": 1, "max_position_embeddings": 7,
             "rope_scaling": {"type": "dynamic", "factor": 4.0}}
            """),
        family(
            "Llama 3.2",
            """
            {"model_type": "llama", "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
             "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 50.0,
             "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                              "original_max_position_embeddings": 20, "rope_type": "llama3"},
             "tie_word_embeddings": true, "eos_token_id": [7, 8, 9]}
            """),
        family(
            "Mistral",
            """
            {"model_type": "mistral", "hidden_size": 24, "intermediate_size": 37, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "rms_norm_eps": 1e-5, "sliding_window": 3}
            """),
        family(
            "Qwen2",
            """
            {"model_type": "qwen2", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 2,
             "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "rope_theta": 1000000.0, "sliding_window": 3, "use_sliding_window": false,
             "max_window_layers": 1, "tie_word_embeddings": true}
            """),
        family(
            "Qwen2.5 with YaRN",
            """
            {"model_type": "qwen2", "hidden_size": 32, "intermediate_size": 35, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128,
             "rope_parameters": {"rope_type": "yarn", "rope_theta": 30.0, "factor": 4.0,
                                 "original_max_position_embeddings": 32}}
            """),
        family(
            "Qwen3",
            """
            {"model_type": "qwen3", "hidden_size": 22, "intermediate_size": 35, "num_hidden_layers": 3,
             "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 10,
             "max_position_embeddings": 64, "rope_theta": 1000000, "use_sliding_window": true,
             "sliding_window": 4,
             "layer_types": ["full_attention", "sliding_attention", "full_attention"]}
            """),
        family(
            "Gemma 2",
            """
            {"model_type": "gemma2", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 3,
             "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
             "max_position_embeddings": 64, "query_pre_attn_scalar": 3, "sliding_window": 4,
             "attn_logit_softcapping": 1.5, "final_logit_softcapping": 30.0,
             "hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh", "pad_token_id": 0}
            """),
        family(
            "Gemma 3",
            """
            {"model_type": "gemma3_text", "hidden_size": 24, "intermediate_size": 35,
             "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 12,
             "max_position_embeddings": 64, "query_pre_attn_scalar": 12, "sliding_window": 3,
             "sliding_window_pattern": 3, "rope_theta": 100.0, "rope_local_base_freq": 10.0,
             "rope_scaling": {"factor": 8.0, "rope_type": "linear"}}
            """),
        family(
            "Gemma 3, by new keys",
            """
            {"model_type": "gemma3_text", "hidden_size": 24, "intermediate_size": 35,
             "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 12,
             "max_position_embeddings": 64, "query_pre_attn_scalar": 12, "sliding_window": 3,
             "layer_types": ["sliding_attention", "full_attention"],
             "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1000.0},
                                 "sliding_attention": {"rope_type": "default", "rope_theta": 20.0}}}
            """),
        family(
            "Phi-3, long",
            """
            {"model_type": "phi3", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "original_max_position_embeddings": 8, "sliding_window": 5,
             "rope_scaling": {"type": "su", "short_factor": [1.0, 1.1, 1.3],
                              "long_factor": [1.5, 2.0, 4.0]}}
            """),
        family(
            "Phi-4-mini",
            """
            {"model_type": "phi3", "hidden_size": 32, "intermediate_size": 35, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "original_max_position_embeddings": 32, "partial_rotary_factor": 0.75,
             "sliding_window": null, "tie_word_embeddings": true,
             "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.1, 1.3],
                              "long_factor": [1.5, 2.0, 4.0]}}
            """),
        family(
            "SmolLM3",
            """
            {"model_type": "smollm3", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 4,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "rope_theta": 10000.0, "pad_token_id": 4, "use_sliding_window": false,
             "sliding_window": null}
            """),
        family(
            "Qwen2 with windows in the upper layers",
            """
            {"model_type": "qwen2", "hidden_size": 24, "intermediate_size": 35, "num_hidden_layers": 3,
             "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "sliding_window": 3, "use_sliding_window": true, "max_window_layers": 1}
            """));
  }

  /** A decoder like any other. */
  public static Family llama() {
    return all().filter(family -> family.name.equals("Llama 3.2")).findFirst().orElseThrow();
  }

  /** A Llama of any size, whose output layer is the embeddings. */
  public static Family llama(int layers, int hidden, int intermediate, int heads, int positions) {
    return family(
        "Llama of any size",
        """
        {"model_type": "llama", "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": %d,
         "num_attention_heads": %d, "max_position_embeddings": %d, "tie_word_embeddings": true}
        """
            .formatted(hidden, intermediate, layers, heads, positions));
  }

  /** A Phi-3 of any size, whose projections of one input are fused. */
  public static Family phi3(int layers, int hidden, int intermediate, int heads, int positions) {
    return family(
        "Phi-3 of any size",
        """
        {"model_type": "phi3", "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": %d,
         "num_attention_heads": %d, "max_position_embeddings": %d, "tie_word_embeddings": true}
        """
            .formatted(hidden, intermediate, layers, heads, positions));
  }

  /** Llama's shape: without biases, windows and caps, its head not tied. */
  public static DecoderConfig shape(int keyValueHeads, int headSize, Rope rope) {
    return DecoderConfigBuilder.builder()
        .keyValueHeads(keyValueHeads)
        .headSize(headSize)
        .rope(rope)
        .attentionScale(1 / Math.sqrt(headSize))
        .embeddingScale(1)
        .build();
  }

  private static Family family(String name, String json) {
    try {
      ObjectNode object = (ObjectNode) JSON.readTree(json);
      return new Family(name, object.put("vocab_size", VOCABULARY));
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }

  /** Tensors by the shapes that the library's classes have. */
  private static final class Weights {
    private final JsonNode json;
    private final Random random;
    private final Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();

    Weights(JsonNode json, Random random) {
      this.json = json;
      this.random = random;
    }

    Map<String, SafeTensors.Tensor> all() {
      String type = json.get("model_type").asText();
      boolean gemma = type.startsWith("gemma");
      int hidden = json.get("hidden_size").asInt();
      int inner = json.get("intermediate_size").asInt();
      int heads = json.get("num_attention_heads").asInt();
      int size = json.path("head_dim").asInt(hidden / heads);
      int keys = json.path("num_key_value_heads").asInt(heads) * size;
      boolean bias = json.path("attention_bias").asBoolean();
      boolean inputBias = bias || type.equals("qwen2");
      boolean innerBias = json.path("mlp_bias").asBoolean();
      put("embed_tokens.weight", 0, 0.5, VOCABULARY, hidden);
      put("norm.weight", gemma ? 0 : 1, 0.2, hidden);
      if (!json.path("tie_word_embeddings").asBoolean(gemma || type.equals("smollm3"))) {
        put("lm_head.weight", 0, 0.3, VOCABULARY, hidden);
      }
      for (int layer = 0; layer < json.get("num_hidden_layers").asInt(); layer++) {
        String path = "layers." + layer + ".";
        if (type.equals("phi3")) {
          linear(path + "self_attn.qkv_proj", heads * size + 2 * keys, hidden, false);
          linear(path + "mlp.gate_up_proj", 2 * inner, hidden, false);
        } else {
          linear(path + "self_attn.q_proj", heads * size, hidden, inputBias);
          linear(path + "self_attn.k_proj", keys, hidden, inputBias);
          linear(path + "self_attn.v_proj", keys, hidden, inputBias);
          linear(path + "mlp.gate_proj", inner, hidden, innerBias);
          linear(path + "mlp.up_proj", inner, hidden, innerBias);
        }
        linear(path + "self_attn.o_proj", hidden, heads * size, bias);
        linear(path + "mlp.down_proj", hidden, inner, innerBias);
        norm(path + "input_layernorm", gemma, hidden);
        norm(path + "post_attention_layernorm", gemma, hidden);
        if (gemma) {
          norm(path + "pre_feedforward_layernorm", true, hidden);
          norm(path + "post_feedforward_layernorm", true, hidden);
        }
        if (type.equals("qwen3") || type.equals("gemma3_text")) {
          norm(path + "self_attn.q_norm", gemma, size);
          norm(path + "self_attn.k_norm", gemma, size);
        }
      }
      return tensors;
    }

    private void linear(String path, int rows, int cols, boolean bias) {
      put(path + ".weight", 0, 0.3, rows, cols);
      if (bias) {
        put(path + ".bias", 0, 0.3, rows);
      }
    }

    private void norm(String path, boolean gemma, int size) {
      put(path + ".weight", gemma ? 0 : 1, 0.2, size);
    }

    private void put(String name, double mean, double deviation, int... shape) {
      long[] extents = java.util.Arrays.stream(shape).asLongStream().toArray();
      float[] values = new float[java.util.Arrays.stream(shape).reduce(1, Math::multiplyExact)];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (mean + deviation * random.nextGaussian());
      }
      tensors.put(name, new SafeTensors.Tensor(extents, values));
    }
  }

  /** Plain rotation. */
  public static Rope rope(double theta, int size, int positions) {
    return RopeBuilder.builder()
        .type(Rope.Type.DEFAULT)
        .theta(theta)
        .size(size)
        .factor(1)
        .originalPositions(positions)
        .attentionFactor(1)
        .truncate(true)
        .build();
  }
}
