package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.io.SafeTensors;

/**
 * Decoders in float64 and plain Java, one sample at a time without padding, by what the families'
 * papers and Hugging Face's documentation of config.json say. It reads config.json itself.
 */
final class ReferenceDecoder {
  private final JsonNode json;
  private final String type;
  private final Map<String, SafeTensors.Tensor> tensors;
  private final int hidden;
  private final int heads;
  private final int groups;
  private final int size;
  private final boolean gemma;

  /**
   * @param tensors without the prefix model.
   */
  ReferenceDecoder(JsonNode json, Map<String, SafeTensors.Tensor> tensors) {
    this.json = json;
    this.type = json.get("model_type").asText();
    this.tensors = new TreeMap<>(tensors);
    hidden = json.get("hidden_size").asInt();
    heads = json.get("num_attention_heads").asInt();
    groups = json.path("num_key_value_heads").asInt(heads);
    size = json.path("head_dim").asInt(hidden / heads);
    gemma = type.startsWith("gemma");
    split("self_attn.qkv_proj", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj");
    split("mlp.gate_up_proj", "mlp.gate_proj", "mlp.up_proj");
  }

  /** Phi-3's tensors, taken apart. */
  private void split(String whole, String... parts) {
    for (int layer = 0; tensors.containsKey(name(layer, whole)); layer++) {
      SafeTensors.Tensor fused = tensors.remove(name(layer, whole));
      int from = 0;
      for (String part : parts) {
        int rows =
            part.startsWith("mlp")
                ? json.get("intermediate_size").asInt()
                : size * (part.endsWith("q_proj") ? heads : groups);
        float[] values = java.util.Arrays.copyOfRange(fused.values(), from, from + rows * hidden);
        tensors.put(name(layer, part), new SafeTensors.Tensor(new long[] {rows, hidden}, values));
        from += values.length;
      }
    }
  }

  private static String name(int layer, String module) {
    return "layers." + layer + "." + module + ".weight";
  }

  /**
   * What the output weight takes, [T][hidden].
   *
   * @param ids of one sample
   * @param length of the batch, by which some kinds of rotation choose their frequencies
   */
  double[][] forward(int[] ids, int length) {
    double[][] x = new double[ids.length][hidden];
    float[] words = tensors.get("embed_tokens.weight").values();
    for (int t = 0; t < ids.length; t++) {
      for (int k = 0; k < hidden; k++) {
        x[t][k] = words[ids[t] * hidden + k] * (gemma ? (double) (float) Math.sqrt(hidden) : 1);
      }
    }
    for (int layer = 0; layer < json.get("num_hidden_layers").asInt(); layer++) {
      String path = "layers." + layer + ".";
      double[][] attended = attention(layer, norm(x, path + "input_layernorm"), length);
      if (gemma) {
        attended = norm(attended, path + "post_attention_layernorm");
      }
      x = sum(x, attended);
      double[][] y =
          norm(x, path + (gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm"));
      double[][] gate = linear(y, path + "mlp.gate_proj");
      double[][] up = linear(y, path + "mlp.up_proj");
      for (int t = 0; t < up.length; t++) {
        for (int k = 0; k < up[t].length; k++) {
          up[t][k] *= activation(gate[t][k]);
        }
      }
      double[][] out = linear(up, path + "mlp.down_proj");
      x = sum(x, gemma ? norm(out, path + "post_feedforward_layernorm") : out);
    }
    return norm(x, "norm");
  }

  private double[][] attention(int layer, double[][] x, int length) {
    String path = "layers." + layer + ".self_attn.";
    double[][] q = linear(x, path + "q_proj");
    double[][] k = linear(x, path + "k_proj");
    double[][] v = linear(x, path + "v_proj");
    if (tensors.containsKey(path + "q_norm.weight")) {
      normHeads(q, path + "q_norm");
      normHeads(k, path + "k_norm");
    }
    boolean slides = slides(layer);
    if (rotates(layer)) {
      rotate(q, slides, length);
      rotate(k, slides, length);
    }
    double scale = Math.pow(gemma ? json.path("query_pre_attn_scalar").asDouble(256) : size, -0.5);
    double cap =
        type.equals("gemma2") && !json.path("attn_logit_softcapping").isNull()
            ? json.path("attn_logit_softcapping").asDouble(50)
            : 0;
    int window = slides ? json.path("sliding_window").asInt(4096) : Integer.MAX_VALUE;
    double[][] context = new double[x.length][heads * size];
    for (int head = 0; head < heads; head++) {
      int own = head / (heads / groups);
      for (int t = 0; t < x.length; t++) {
        double[] weights = new double[t + 1];
        double total = 0;
        for (int s = 0; s <= t; s++) {
          if (t - s >= window) {
            continue;
          }
          double score = 0;
          for (int d = 0; d < size; d++) {
            score += q[t][head * size + d] * k[s][own * size + d];
          }
          score *= scale;
          weights[s] = Math.exp(cap > 0 ? cap * Math.tanh(score / cap) : score);
          total += weights[s];
        }
        for (int s = 0; s <= t; s++) {
          for (int d = 0; d < size; d++) {
            context[t][head * size + d] += weights[s] / total * v[s][own * size + d];
          }
        }
      }
    }
    return linear(context, path + "o_proj");
  }

  private boolean slides(int layer) {
    if (json.path("layer_types").isArray()) {
      return json.get("layer_types").get(layer).asText().startsWith("sliding")
          && (gemma || json.path("use_sliding_window").asBoolean());
    }
    return switch (type) {
      case "mistral", "phi3" -> json.path("sliding_window").isNumber();
      case "qwen2", "qwen3" ->
          json.path("use_sliding_window").asBoolean()
              && !json.path("sliding_window").isNull()
              && layer >= json.path("max_window_layers").asInt(28);
      case "gemma2" -> layer % 2 == 0;
      case "gemma3_text" ->
          layer % json.path("sliding_window_pattern").asInt(6) + 1
              != json.path("sliding_window_pattern").asInt(6);
      default -> false;
    };
  }

  private boolean rotates(int layer) {
    return !type.equals("smollm3")
        || (json.path("no_rope_layers").isArray()
            ? json.get("no_rope_layers").get(layer).asInt() == 1
            : layer % 4 != 3);
  }

  private void rotate(double[][] x, boolean slides, int length) {
    boolean local = type.equals("gemma3_text") && slides;
    JsonNode settings = json.path("rope_parameters");
    if (settings.has("full_attention")) {
      settings = settings.get(local ? "sliding_attention" : "full_attention");
    } else if (settings.isMissingNode()) {
      settings = local ? json.path("none") : json.path("rope_scaling");
    }
    double theta =
        settings
            .path("rope_theta")
            .asDouble(
                local
                    ? json.path("rope_local_base_freq").asDouble(1e4)
                    : json.path("rope_theta").asDouble(type.equals("gemma3_text") ? 1e6 : 1e4));
    int rotated = (int) (size * json.path("partial_rotary_factor").asDouble(1));
    ReferenceRope rope = new ReferenceRope(json, settings, theta, rotated, length);
    for (int t = 0; t < x.length; t++) {
      for (int from = 0; from < x[t].length; from += size) {
        for (int i = 0; i < rotated / 2; i++) {
          double a = x[t][from + i];
          double b = x[t][from + i + rotated / 2];
          double cos = rope.factor() * Math.cos(t * rope.frequency(i));
          double sin = rope.factor() * Math.sin(t * rope.frequency(i));
          x[t][from + i] = a * cos - b * sin;
          x[t][from + i + rotated / 2] = b * cos + a * sin;
        }
      }
    }
  }

  private double[][] linear(double[][] x, String path) {
    SafeTensors.Tensor weight = tensors.get(path + ".weight");
    SafeTensors.Tensor bias = tensors.get(path + ".bias");
    int rows = (int) weight.shape()[0];
    int cols = (int) weight.shape()[1];
    double[][] y = new double[x.length][rows];
    for (int t = 0; t < x.length; t++) {
      for (int n = 0; n < rows; n++) {
        y[t][n] = bias == null ? 0 : bias.values()[n];
        for (int k = 0; k < cols; k++) {
          y[t][n] += weight.values()[n * cols + k] * x[t][k];
        }
      }
    }
    return y;
  }

  private double[][] norm(double[][] x, String path) {
    double[][] y = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      y[t] = x[t].clone();
      norm(y[t], 0, y[t].length, path);
    }
    return y;
  }

  private void normHeads(double[][] x, String path) {
    for (double[] row : x) {
      for (int from = 0; from < row.length; from += size) {
        norm(row, from, size, path);
      }
    }
  }

  private void norm(double[] row, int from, int count, String path) {
    float[] weight = tensors.get(path + ".weight").values();
    double square = 0;
    for (int k = 0; k < count; k++) {
      square += row[from + k] * row[from + k] / count;
    }
    double epsilon = json.path("rms_norm_eps").asDouble(type.equals("phi3") ? 1e-5 : 1e-6);
    for (int k = 0; k < count; k++) {
      row[from + k] *= (weight[k] + (gemma ? 1.0 : 0.0)) / Math.sqrt(square + epsilon);
    }
  }

  private double activation(double x) {
    String name = json.path(gemma ? "hidden_activation" : "hidden_act").asText();
    return name.equals("gelu_pytorch_tanh") || gemma
        ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
        : x / (1 + Math.exp(-x));
  }

  private static double[][] sum(double[][] x, double[][] y) {
    double[][] sum = new double[x.length][];
    for (int t = 0; t < x.length; t++) {
      sum[t] = x[t].clone();
      for (int k = 0; k < sum[t].length; k++) {
        sum[t][k] += y[t][k];
      }
    }
    return sum;
  }
}
