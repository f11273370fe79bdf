package org.prunepeft.model;

import java.util.HashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** A small BERT with random weights, for tests. */
public final class SmallBert {
  public static final EncoderConfig CONFIG = new EncoderConfig(3, 24, 4, 40, 50, 16, 2, 1e-12);

  private SmallBert() {}

  public static Bert create() {
    EncoderConfig config = CONFIG;
    try (PointerScope scope = new PointerScope()) {
      Map<String, Tensor> weights = new HashMap<>();
      random(weights, "embeddings.word_embeddings.weight", config.vocabulary(), config.hidden());
      random(weights, "embeddings.position_embeddings.weight", config.positions(), config.hidden());
      random(weights, "embeddings.token_type_embeddings.weight", config.types(), config.hidden());
      norm(weights, "embeddings.LayerNorm", config.hidden());
      for (int i = 0; i < config.layers(); i++) {
        String layer = "encoder.layer." + i;
        for (String name : new String[] {"query", "key", "value"}) {
          linear(weights, layer + ".attention.self." + name, config.hidden(), config.hidden());
        }
        linear(weights, layer + ".attention.output.dense", config.hidden(), config.hidden());
        norm(weights, layer + ".attention.output.LayerNorm", config.hidden());
        linear(weights, layer + ".intermediate.dense", config.intermediate(), config.hidden());
        linear(weights, layer + ".output.dense", config.hidden(), config.intermediate());
        norm(weights, layer + ".output.LayerNorm", config.hidden());
      }
      return new Bert(config, weights);
    }
  }

  private static void random(Map<String, Tensor> weights, String name, long... shape) {
    weights.put(name, torch.randn(shape).mul(new Scalar(0.3)));
  }

  private static void linear(Map<String, Tensor> weights, String path, long rows, long cols) {
    random(weights, path + ".weight", rows, cols);
    random(weights, path + ".bias", rows);
  }

  private static void norm(Map<String, Tensor> weights, String path, long size) {
    weights.put(path + ".weight", torch.randn(size).mul(new Scalar(0.1)).add(new Scalar(1)));
    random(weights, path + ".bias", size);
  }
}
