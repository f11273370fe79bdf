package org.prunepeft.torch;

import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.testing.TestSeed;

/** LibTorch's random numbers, from the test's seed. */
public final class RandomTensors {
  private RandomTensors() {}

  /** A source of its own for each call. */
  public static GeneratorOptional generator() {
    return new GeneratorOptional(torch.make_generator_cpu(TestSeed.draw()));
  }

  /** Normally distributed with mean 0 and deviation 1. */
  public static Tensor normal(long... shape) {
    return torch.empty(shape).normal_(0, 1, generator());
  }
}
