package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * A frozen layer normalisation over the last dimension.
 *
 * @param weight [K]
 * @param bias [K]
 * @param epsilon added to the variance
 */
public record LayerNorm(Tensor weight, Tensor bias, double epsilon) {
  public Tensor apply(Tensor x) {
    return torch.layer_norm(
        x,
        new long[] {weight.size(0)},
        new TensorOptional(weight),
        new TensorOptional(bias),
        epsilon,
        true);
  }
}
