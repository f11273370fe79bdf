package org.prunepeft.model;

import java.util.Map;
import org.prunepeft.io.SafeTensors;

/**
 * Encoders in float64 and plain Java, one sequence at a time without padding, by the papers'
 * equations: BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019), DistilBERT (Sanh et al. 2019),
 * ELECTRA (Clark et al. 2020), DeBERTa (He et al. 2021) and its second version.
 */
final class ReferenceEncoder {
  private final ReferenceConfig config;
  private final Map<String, SafeTensors.Tensor> tensors;
  private final RandomCheckpoint.Names names;

  ReferenceEncoder(ReferenceConfig config, Map<String, SafeTensors.Tensor> tensors) {
    this.config = config;
    this.tensors = tensors;
    this.names = RandomCheckpoint.Names.of(config);
  }

  /** The last layer's output, [T][hidden]. */
  double[][] forward(int[] ids, int[] types) {
    double[][] embedded = embeddings(ids, types);
    double[][] x = embedded;
    for (int layer = 0; layer < config.layers(); layer++) {
      String path = names.layers() + layer + ".";
      x = norm(sum(x, attention(path, x)), path + names.attentionNorm());
      double[][] middle = linear(x, path + names.linears().get(4));
      for (double[] row : middle) {
        for (int k = 0; k < row.length; k++) {
          row[k] = activation(config.activation(), row[k]);
        }
      }
      double[][] output = linear(middle, path + names.linears().get(5));
      x = norm(sum(x, output), path + names.outputNorm());
      if (layer == 0 && config.kernel() > 0) {
        x = norm(sum(x, convolution(embedded)), "encoder.conv.LayerNorm");
      }
    }
    return x;
  }

  private double[][] embeddings(int[] ids, int[] types) {
    int width = config.embedding();
    double[][] x = new double[ids.length][width];
    int position = config.padding();
    for (int i = 0; i < ids.length; i++) {
      add(x[i], "embeddings.word_embeddings.weight", ids[i]);
      if (config.roberta()) {
        // The padding's own position is its id; other tokens count from the next one on.
        boolean padding = ids[i] == config.padding();
        add(x[i], "embeddings.position_embeddings.weight", padding ? config.padding() : ++position);
      } else if (config.absolutePositions()) {
        add(x[i], "embeddings.position_embeddings.weight", i);
      }
      if (config.types() > 0) {
        add(x[i], "embeddings.token_type_embeddings.weight", config.types() == 1 ? 0 : types[i]);
      }
    }
    if (config.deberta()) {
      return norm(
          width == config.hidden() ? x : multiply(x, "embeddings.embed_proj.weight"),
          "embeddings.LayerNorm");
    }
    x = norm(x, "embeddings.LayerNorm");
    return width == config.hidden() ? x : linear(x, "embeddings_project");
  }

  private void add(double[] row, String table, int index) {
    float[] values = tensors.get(table).values();
    for (int k = 0; k < row.length; k++) {
      row[k] += values[index * row.length + k];
    }
  }

  private double[][] attention(String path, double[][] x) {
    double[][] query = linear(x, path + names.linears().get(0));
    double[][] key = linear(x, path + names.linears().get(1));
    double[][] value = linear(x, path + names.linears().get(2));
    double[][] positionQuery = null;
    double[][] positionKey = null;
    int terms = 1;
    if (config.relative()) {
      double[][] table = table();
      boolean shared = config.sharedProjections();
      if (config.contentToPosition()) {
        positionKey =
            linear(table, path + "attention.self." + (shared ? "key_proj" : "pos_key_proj"));
        terms++;
      }
      if (config.positionToContent()) {
        positionQuery =
            linear(table, path + "attention.self." + (shared ? "query_proj" : "pos_query_proj"));
        terms++;
      }
    }
    int length = x.length;
    int size = config.hidden() / config.heads();
    double[][] context = new double[length][config.hidden()];
    for (int head = 0; head < config.heads(); head++) {
      int from = head * size;
      for (int i = 0; i < length; i++) {
        double[] scores = new double[length];
        double total = 0;
        for (int j = 0; j < length; j++) {
          double score = dot(query[i], key[j], from, size);
          if (positionKey != null) {
            score += dot(query[i], positionKey[place(i - j)], from, size);
          }
          if (positionQuery != null) {
            score += dot(key[j], positionQuery[place(i - j)], from, size);
          }
          scores[j] = Math.exp(score / Math.sqrt((double) size * terms));
          total += scores[j];
        }
        for (int j = 0; j < length; j++) {
          for (int k = from; k < from + size; k++) {
            context[i][k] += scores[j] / total * value[j][k];
          }
        }
      }
    }
    return linear(context, path + names.linears().get(3));
  }

  private double[][] table() {
    SafeTensors.Tensor stored = tensors.get("encoder.rel_embeddings.weight");
    double[][] table = new double[(int) stored.shape()[0]][config.hidden()];
    for (int i = 0; i < table.length; i++) {
      add(table[i], "encoder.rel_embeddings.weight", i);
    }
    return config.normalised() ? norm(table, "encoder.LayerNorm") : table;
  }

  /** The row of a distance in the table of relative positions. */
  private int place(int distance) {
    int span = config.buckets() > 0 ? config.buckets() : config.maxDistance();
    int size = Math.abs(distance);
    int half = config.buckets() / 2;
    if (config.buckets() > 0 && size > half) {
      // The first bucket that ends no nearer; buckets grow by a constant ratio.
      double ratio = Math.pow((config.maxDistance() - 1.0) / half, 1.0 / (half - 1));
      int bucket = half;
      while (half * Math.pow(ratio, bucket - half) < size * (1 - 1e-12)) {
        bucket++;
      }
      size = bucket;
    }
    return Math.max(0, Math.min(2 * span - 1, span + (distance < 0 ? -size : size)));
  }

  private double[][] convolution(double[][] x) {
    float[] weight = tensors.get("encoder.conv.conv.weight").values();
    float[] bias = tensors.get("encoder.conv.conv.bias").values();
    int hidden = config.hidden();
    int width = hidden / config.groups();
    double[][] y = new double[x.length][hidden];
    for (int t = 0; t < x.length; t++) {
      for (int o = 0; o < hidden; o++) {
        double value = bias[o];
        int firstInput = o / width * width;
        for (int i = 0; i < width; i++) {
          for (int k = 0; k < config.kernel(); k++) {
            int source = t + k - config.kernel() / 2;
            if (source >= 0 && source < x.length) {
              value += weight[(o * width + i) * config.kernel() + k] * x[source][firstInput + i];
            }
          }
        }
        y[t][o] = activation(config.convolutionActivation(), value);
      }
    }
    return y;
  }

  private double[][] linear(double[][] x, String path) {
    double[][] y = multiply(x, path + ".weight");
    float[] bias = tensors.get(path + ".bias").values();
    for (double[] row : y) {
      for (int k = 0; k < row.length; k++) {
        row[k] += bias[k];
      }
    }
    return y;
  }

  /** x Wᵀ. */
  private double[][] multiply(double[][] x, String name) {
    SafeTensors.Tensor weight = tensors.get(name);
    int rows = (int) weight.shape()[0];
    int cols = (int) weight.shape()[1];
    double[][] y = new double[x.length][rows];
    for (int i = 0; i < x.length; i++) {
      for (int n = 0; n < rows; n++) {
        for (int k = 0; k < cols; k++) {
          y[i][n] += weight.values()[n * cols + k] * x[i][k];
        }
      }
    }
    return y;
  }

  private double[][] norm(double[][] x, String path) {
    float[] weight = tensors.get(path + ".weight").values();
    float[] bias = tensors.get(path + ".bias").values();
    double[][] y = new double[x.length][];
    for (int i = 0; i < x.length; i++) {
      double mean = 0;
      for (double value : x[i]) {
        mean += value / x[i].length;
      }
      double variance = 0;
      for (double value : x[i]) {
        variance += (value - mean) * (value - mean) / x[i].length;
      }
      y[i] = new double[x[i].length];
      for (int k = 0; k < x[i].length; k++) {
        y[i][k] = (x[i][k] - mean) / Math.sqrt(variance + config.epsilon()) * weight[k] + bias[k];
      }
    }
    return y;
  }

  private static double[][] sum(double[][] x, double[][] y) {
    double[][] sum = new double[x.length][];
    for (int i = 0; i < x.length; i++) {
      sum[i] = x[i].clone();
      for (int k = 0; k < sum[i].length; k++) {
        sum[i][k] += y[i][k];
      }
    }
    return sum;
  }

  private static double dot(double[] x, double[] y, int from, int count) {
    double sum = 0;
    for (int k = from; k < from + count; k++) {
      sum += x[k] * y[k];
    }
    return sum;
  }

  private static double activation(String name, double x) {
    return switch (name) {
      case "gelu" -> x * normalDistribution(x);
      case "gelu_new" ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case "relu" -> Math.max(0, x);
      case "silu" -> x / (1 + Math.exp(-x));
      case "tanh" -> Math.tanh(x);
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** Φ(x) by the series 1/2 + φ(x) (x + x³/3 + x⁵/(3·5) + ...) (Marsaglia 2004). */
  private static double normalDistribution(double x) {
    if (Math.abs(x) > 8) {
      return x > 0 ? 1 : 0;
    }
    double sum = x;
    double term = x;
    for (int k = 3; Math.abs(term) > 1e-18; k += 2) {
      term *= x * x / k;
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }
}
