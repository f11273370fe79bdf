package org.prunepeft.peft;

import org.prunepeft.kernels.Activation;

/**
 * Serial bottleneck adapters after the feed-forward block (AdapterHub's SeqBn).
 *
 * @param bottleneck m, 1 or more
 * @param nonLinearity σ
 */
public record AdapterConfig(int bottleneck, Activation nonLinearity) {
  public static final AdapterConfig DEFAULT = new AdapterConfig(128, Activation.RELU);

  public AdapterConfig {
    if (bottleneck < 1) {
      throw new IllegalArgumentException(
          "the adapter's bottleneck must be at least 1, got " + bottleneck);
    }
  }
}
