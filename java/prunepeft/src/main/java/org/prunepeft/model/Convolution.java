package org.prunepeft.model;

/**
 * The convolution over the sequence that some DeBERTa-v2 models add to their first layer, in
 * Hugging Face's names.
 *
 * @param kernel conv_kernel_size, odd, so that a token's output has its place
 * @param groups conv_groups, a divisor of hidden_size
 * @param activation conv_act
 */
public record Convolution(int kernel, int groups, HiddenActivation activation) {
  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Convolution {
    if (kernel < 1 || kernel % 2 == 0) {
      throw new IllegalArgumentException("conv_kernel_size must be odd, got " + kernel);
    }
    if (groups < 1) {
      throw new IllegalArgumentException("conv_groups must be at least 1, got " + groups);
    }
  }
}
