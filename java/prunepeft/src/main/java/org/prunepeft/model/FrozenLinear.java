package org.prunepeft.model;

import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * A linear of the pre-trained model, y = x Wᵀ + b. Several projections of one input may be stacked
 * in it: its parts name them, each with its block of rows of W, which is its block of columns of y.
 *
 * @param weight W [N,K]; owned by the model
 * @param bias b [N]; owned by the model
 * @param parts in the order of the rows; their rows add up to N
 */
public record FrozenLinear(Tensor weight, Tensor bias, List<Part> parts) {
  /**
   * One projection.
   *
   * @param layer 0-based
   * @param path its name in the model, as Hugging Face's checkpoints have it:
   *     encoder.layer.0.attention.self.query
   * @param firstRow where its rows begin
   * @param rows how many it has
   */
  public record Part(int layer, String path, long firstRow, long rows) {}

  public FrozenLinear {
    parts = List.copyOf(parts);
  }
}
