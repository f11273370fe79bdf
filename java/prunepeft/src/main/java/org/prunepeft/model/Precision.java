package org.prunepeft.model;

import java.util.Locale;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What an encoder computes in. Trained weights, their gradients, the optimiser's state, statistics,
 * sums and normalisations are float32 in either.
 */
public enum Precision {
  /** 32 bits. */
  FLOAT32(torch.ScalarType.Float),
  /**
   * Frozen weights and activations are bfloat16: half the memory, and twice as fast where the
   * processor multiplies them. Also called mixed precision.
   */
  BF16(torch.ScalarType.BFloat16);

  private final torch.ScalarType type;

  Precision(torch.ScalarType type) {
    this.type = type;
  }

  /**
   * Of frozen weights and activations.
   *
   * @return LibTorch's type
   */
  public torch.ScalarType type() {
    return type;
  }

  /**
   * {@return the tensor in this precision: itself if it is so already}
   *
   * @param tensor of floating-point numbers; not changed
   */
  public Tensor of(Tensor tensor) {
    return tensor.scalar_type().intern() == type ? tensor : tensor.to(type);
  }

  /** Refuses to train the encoder itself in what is too coarse for small steps. */
  void requireTrainable() {
    if (this != FLOAT32) {
      throw new UnsupportedOperationException(
          "an encoder in " + this + " cannot be trained itself; load it in float32");
    }
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
