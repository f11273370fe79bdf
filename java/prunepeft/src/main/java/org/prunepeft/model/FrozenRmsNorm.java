package org.prunepeft.model;

import org.bytedeco.pytorch.Tensor;
import org.prunepeft.torch.RmsNormOp;

/**
 * A frozen RMS normalisation (Zhang and Sennrich 2019) over each run of K columns.
 *
 * @param weight [K], in the model's precision
 * @param epsilon added to the mean square
 * @param addsOne whether values are multiplied by 1 + weight, as in Gemma; else by the weight
 */
record FrozenRmsNorm(Tensor weight, double epsilon, boolean addsOne) {
  /**
   * @param x [M, G·K], of the weight's type
   * @return of x's shape and type
   */
  Tensor apply(Insertions insertions, Tensor x) {
    // Our own operation gives no gradient to the weight.
    return RmsNormOp.apply(
        weight.requires_grad() ? null : insertions.tape(), x, weight, epsilon, addsOne);
  }
}
