package org.prunepeft.model;

import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;

/** Random weights for an encoder, under the names that Hugging Face's library gives them. */
final class RandomCheckpoint {
  private final Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
  private final EncoderConfig config;
  private final Random random;

  private RandomCheckpoint(EncoderConfig config, Random random) {
    this.config = config;
    this.random = random;
  }

  static MapCheckpoint of(EncoderConfig config, Random random) {
    RandomCheckpoint checkpoint = new RandomCheckpoint(config, random);
    checkpoint.embeddings();
    for (int layer = 0; layer < config.layers(); layer++) {
      checkpoint.layer(layer);
    }
    return new MapCheckpoint("a random checkpoint", checkpoint.tensors);
  }

  private void embeddings() {
    int width = config.embedding();
    normal("embeddings.word_embeddings.weight", config.vocabulary(), width);
    normal("embeddings.position_embeddings.weight", config.positions(), width);
    if (config.types() > 0) {
      normal("embeddings.token_type_embeddings.weight", config.types(), width);
    }
    norm("embeddings.LayerNorm", width);
    if (width != config.hidden()) {
      linear("embeddings_project", config.hidden(), width);
    }
  }

  private void layer(int layer) {
    for (Projection projection : Projection.values()) {
      linear(config.path(layer, projection), config.outputs(projection), config.inputs(projection));
    }
    norm(config.architecture().attentionNorm(layer), config.hidden());
    norm(config.architecture().outputNorm(layer), config.hidden());
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
