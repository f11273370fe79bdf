package org.prunepeft.model;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Random;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;

/** A small BERT with random weights, for tests. */
public final class SmallBert {
  public static final EncoderConfig CONFIG = new EncoderConfig(3, 24, 4, 40, 50, 16, 2, 1e-12);

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
}
