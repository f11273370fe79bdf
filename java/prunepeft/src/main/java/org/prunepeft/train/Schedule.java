package org.prunepeft.train;

/** How the learning rate goes after its warm-up. */
public enum Schedule {
  CONSTANT,
  LINEAR,
  COSINE;

  /**
   * The rate's share of its peak.
   *
   * @param step 0-based
   * @param steps of the whole training, 1 or more
   * @param warmupRatio share of the steps over which it rises linearly
   */
  public double factor(int step, int steps, double warmupRatio) {
    int warmup = (int) Math.ceil(steps * warmupRatio);
    if (step < warmup) {
      return (step + 1.0) / warmup;
    }
    double progress = (step - warmup) / (double) Math.max(1, steps - warmup);
    return switch (this) {
      case CONSTANT -> 1;
      case LINEAR -> 1 - progress;
      case COSINE -> 0.5 * (1 + StrictMath.cos(StrictMath.PI * progress));
    };
  }
}
