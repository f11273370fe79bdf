package org.prunepeft.model;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;

/** A small BERT with random weights, for tests. */
public final class SmallBert {
  public static final EncoderConfig CONFIG = EncoderConfig.bert(3, 24, 4, 40, 50, 16);

  private SmallBert() {}

  public static Encoder create() {
    return create(TestSeed.draw(), Precision.FLOAT32);
  }

  /** The same weights for the same seed. */
  public static Encoder create(long seed, Precision precision) {
    return create(seed, precision, ComputeDevice.CPU);
  }

  /** The same weights for the same seed, on any device. */
  public static Encoder create(long seed, Precision precision, ComputeDevice device) {
    try {
      return new PostNormEncoder(
          CONFIG, RandomCheckpoint.of(CONFIG, new Random(seed)), precision, device);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A model that overflows on texts with a word: its embedding is near the largest number. */
  public static Encoder overflowing(int word) {
    var tensors = RandomCheckpoint.tensors(CONFIG, TestSeed.random());
    tensors.forEach(
        (name, tensor) -> {
          if (name.endsWith("word_embeddings.weight")) {
            int hidden = CONFIG.hidden();
            for (int i = 0; i < hidden; i++) {
              tensor.values()[word * hidden + i] = i % 2 == 0 ? 3e38f : -3e38f;
            }
          }
        });
    return of("a checkpoint with a large word", tensors);
  }

  /**
   * A model with two units of layer 1 of which one is -Infinity for nearly every token, whatever
   * the other weights are: ReLU makes it 0. What they add to their bias differs in its sign.
   */
  public static Encoder saturating() {
    EncoderConfig config = CONFIG.with().activation(HiddenActivation.RELU).build();
    var tensors = RandomCheckpoint.tensors(config, TestSeed.random());
    Arrays.fill(tensors.get("encoder.layer.1.intermediate.dense.bias").values(), 0, 2, -3.4e38f);
    float[] weights = tensors.get("encoder.layer.1.intermediate.dense.weight").values();
    for (int i = 0; i < config.hidden(); i++) {
      weights[i] = i % 2 == 0 ? 1e37f : -1e37f;
      weights[config.hidden() + i] = -weights[i];
    }
    return of(config, "a checkpoint with a unit that overflows", tensors);
  }

  /** As {@link #create(long, Precision)}, but each weight is off by up to a share of itself. */
  public static Encoder perturbed(long seed, double share, Random random) {
    var tensors = RandomCheckpoint.tensors(CONFIG, new Random(seed));
    return of("a perturbed checkpoint", RandomCheckpoint.perturbed(tensors, share, random));
  }

  /** The same, without more for normalisations. */
  public static Encoder rounded(long seed, double share, Random random) {
    var tensors = RandomCheckpoint.tensors(CONFIG, new Random(seed));
    return of("a rounded checkpoint", RandomCheckpoint.rounded(tensors, share, random));
  }

  private static Encoder of(String origin, Map<String, SafeTensors.Tensor> tensors) {
    return of(CONFIG, origin, tensors);
  }

  private static Encoder of(
      EncoderConfig config, String origin, Map<String, SafeTensors.Tensor> tensors) {
    try {
      return new PostNormEncoder(
          config, new MapCheckpoint(origin, tensors), Precision.FLOAT32, ComputeDevice.CPU);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
