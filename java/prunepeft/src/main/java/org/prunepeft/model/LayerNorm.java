package org.prunepeft.model;

import java.util.List;
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
  /** Its own weights. */
  List<Tensor> tensors() {
    return List.of(weight, bias);
  }

  /**
   * In the type of x. On a GPU LibTorch normalises only what is of the weight's type.
   *
   * @param x [M,hidden], of the weights' type or a narrower one
   * @return [M,hidden], in the type of x
   */
  public Tensor apply(Tensor x) {
    torch.ScalarType type = x.scalar_type().intern();
    if (x.is_cuda() && type != weight.scalar_type().intern()) {
      return normalised(x.to(weight.scalar_type().intern())).to(type);
    }
    return normalised(x);
  }

  private Tensor normalised(Tensor x) {
    return torch.layer_norm(
        x,
        new long[] {weight.size(0)},
        new TensorOptional(weight),
        new TensorOptional(bias),
        epsilon,
        true);
  }
}
