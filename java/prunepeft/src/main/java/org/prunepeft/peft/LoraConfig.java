package org.prunepeft.peft;

import java.util.List;

/**
 * LoRA candidates, in PEFT's names.
 *
 * @param rank r, 1 or more
 * @param alpha lora_alpha; the scale is alpha / r
 * @param dropout lora_dropout, in [0, 1)
 * @param targets target_modules: the last part of the names of the projections that get one; those
 *     of a layer are one module together
 */
public record LoraConfig(int rank, double alpha, double dropout, List<String> targets) {
  public static final LoraConfig DEFAULT = new LoraConfig(32, 32, 0.1, List.of("query", "value"));

  public LoraConfig {
    if (rank < 1) {
      throw new IllegalArgumentException("LoRA rank must be at least 1, got " + rank);
    }
    if (!(alpha > 0)) {
      throw new IllegalArgumentException("LoRA alpha must be above 0, got " + alpha);
    }
    if (!(dropout >= 0 && dropout < 1)) {
      throw new IllegalArgumentException("LoRA dropout must be in [0, 1), got " + dropout);
    }
    if (targets.isEmpty()) {
      throw new IllegalArgumentException("LoRA needs at least one target, such as query");
    }
    targets = List.copyOf(targets);
  }

  /** The factor of B·A. */
  public double scale() {
    return scale(alpha, rank, false);
  }

  /** alpha / r, or alpha / √r (rank-stabilised LoRA, Kalajdzievski 2023). */
  static double scale(double alpha, int rank, boolean rsLora) {
    return alpha / (rsLora ? Math.sqrt(rank) : rank);
  }
}
