package org.prunepeft.model;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.Rounding;

/** Random weights for an encoder, under the names that Hugging Face's library gives them. */
public final class RandomCheckpoint {
  /**
   * A layer's names.
   *
   * @param linears query, key, value, attention output, intermediate, output
   */
  record Names(String layers, List<String> linears, String attentionNorm, String outputNorm) {
    static Names of(ReferenceConfig config) {
      List<String> rest = List.of("attention.output.dense", "intermediate.dense", "output.dense");
      String self = "attention.self.";
      return switch (config.modelType()) {
        case "distilbert" ->
            new Names(
                "transformer.layer.",
                List.of(
                    "attention.q_lin",
                    "attention.k_lin",
                    "attention.v_lin",
                    "attention.out_lin",
                    "ffn.lin1",
                    "ffn.lin2"),
                "sa_layer_norm",
                "output_layer_norm");
        case "deberta-v2" ->
            new Names(
                "encoder.layer.",
                List.of(
                    self + "query_proj",
                    self + "key_proj",
                    self + "value_proj",
                    rest.get(0),
                    rest.get(1),
                    rest.get(2)),
                "attention.output.LayerNorm",
                "output.LayerNorm");
        default ->
            new Names(
                "encoder.layer.",
                List.of(
                    self + "query",
                    self + "key",
                    self + "value",
                    rest.get(0),
                    rest.get(1),
                    rest.get(2)),
                "attention.output.LayerNorm",
                "output.LayerNorm");
      };
    }
  }

  private final Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
  private final ReferenceConfig config;
  private final Random random;

  private RandomCheckpoint(ReferenceConfig config, Random random) {
    this.config = config;
    this.random = random;
  }

  /** The weights, without a prefix and without a head. */
  static Map<String, SafeTensors.Tensor> tensors(ReferenceConfig config, Random random) {
    RandomCheckpoint checkpoint = new RandomCheckpoint(config, random);
    checkpoint.embeddings();
    Names names = Names.of(config);
    for (int layer = 0; layer < config.layers(); layer++) {
      checkpoint.layer(names, names.layers + layer + ".");
    }
    if (config.relative()) {
      checkpoint.relativePositions();
    }
    if (config.kernel() > 0) {
      int hidden = config.hidden();
      checkpoint.normal(
          "encoder.conv.conv.weight", hidden, hidden / config.groups(), config.kernel());
      checkpoint.normal("encoder.conv.conv.bias", hidden);
      checkpoint.norm("encoder.conv.LayerNorm", hidden);
    }
    return checkpoint.tensors;
  }

  /** The weights of an encoder of this configuration. */
  public static Map<String, SafeTensors.Tensor> tensors(EncoderConfig config, Random random) {
    return tensors(ReferenceConfig.of(config), random);
  }

  static MapCheckpoint of(EncoderConfig config, Random random) {
    return new MapCheckpoint("a random checkpoint", tensors(config, random));
  }

  /**
   * Copies of weights, each value off by up to a share of itself; of a normalisation, whose factor
   * may be 1 and its weight, of 1 too.
   */
  public static Map<String, SafeTensors.Tensor> perturbed(
      Map<String, SafeTensors.Tensor> tensors, double share, Random random) {
    return perturbed(tensors, share, 1, random);
  }

  /** The same, but each value off by up to a share of itself alone. */
  static Map<String, SafeTensors.Tensor> rounded(
      Map<String, SafeTensors.Tensor> tensors, double share, Random random) {
    return perturbed(tensors, share, 0, random);
  }

  private static Map<String, SafeTensors.Tensor> perturbed(
      Map<String, SafeTensors.Tensor> tensors, double share, double ofNorms, Random random) {
    Map<String, SafeTensors.Tensor> off = new TreeMap<>();
    tensors.forEach(
        (name, tensor) -> {
          float[] values = tensor.values().clone();
          double more = name.toLowerCase(Locale.ROOT).contains("norm") ? ofNorms : 0;
          for (int i = 0; i < values.length; i++) {
            double size = more + Math.abs(values[i]);
            values[i] = (float) (values[i] + share * size * (2 * random.nextDouble() - 1));
          }
          off.put(name, new SafeTensors.Tensor(tensor.shape(), values));
        });
    return off;
  }

  /** How far float32 may take a sum over an encoder's columns or over tokens, of its terms. */
  public static double share(EncoderConfig config, int tokens) {
    int longest = Math.max(Math.max(config.hidden(), config.intermediate()), tokens);
    return Rounding.gamma(longest, Rounding.FLOAT32);
  }

  /** Roundings that a state passes in layers: their linears, scores, and what these weigh. */
  public static int roundings(EncoderConfig config) {
    return config.layers() * 9 * Math.max(config.hidden(), config.intermediate());
  }

  /** Those that a gradient passes: forward and backward, and in a sum over the tokens. */
  public static int roundings(EncoderConfig config, int tokens) {
    return 2 * roundings(config) + tokens;
  }

  private void embeddings() {
    int width = config.embedding();
    int hidden = config.hidden();
    normal("embeddings.word_embeddings.weight", config.vocabulary(), width);
    if (config.absolutePositions()) {
      normal("embeddings.position_embeddings.weight", config.positions(), width);
    }
    if (config.types() > 0) {
      normal("embeddings.token_type_embeddings.weight", config.types(), width);
    }
    norm("embeddings.LayerNorm", config.deberta() ? hidden : width);
    if (width != hidden && config.deberta()) {
      normal("embeddings.embed_proj.weight", hidden, width);
    } else if (width != hidden) {
      linear("embeddings_project", hidden, width);
    }
  }

  private void layer(Names names, String path) {
    int hidden = config.hidden();
    for (int i = 0; i < 6; i++) {
      linear(
          path + names.linears.get(i),
          i == 4 ? config.intermediate() : hidden,
          i == 5 ? config.intermediate() : hidden);
    }
    norm(path + names.attentionNorm, hidden);
    norm(path + names.outputNorm, hidden);
    if (config.relative() && !config.sharedProjections()) {
      if (config.contentToPosition()) {
        linear(path + "attention.self.pos_key_proj", hidden, hidden);
      }
      if (config.positionToContent()) {
        linear(path + "attention.self.pos_query_proj", hidden, hidden);
      }
    }
  }

  private void relativePositions() {
    int rows = 2 * (config.buckets() > 0 ? config.buckets() : config.maxDistance());
    normal("encoder.rel_embeddings.weight", rows, config.hidden());
    if (config.normalised()) {
      norm("encoder.LayerNorm", config.hidden());
    }
  }

  private void linear(String path, int rows, int cols) {
    normal(path + ".weight", rows, cols);
    normal(path + ".bias", rows);
  }

  private void norm(String path, int size) {
    put(path + ".weight", 1, 0.1, size);
    put(path + ".bias", 0, 0.3, size);
  }

  private void normal(String name, long... shape) {
    put(name, 0, 0.3, shape);
  }

  private void put(String name, double mean, double deviation, long... shape) {
    int count = 1;
    for (long size : shape) {
      count *= (int) size;
    }
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (mean + deviation * random.nextGaussian());
    }
    tensors.put(name, new SafeTensors.Tensor(shape, values));
  }
}
