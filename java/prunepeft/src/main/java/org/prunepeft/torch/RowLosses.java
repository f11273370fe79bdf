package org.prunepeft.torch;

import org.bytedeco.pytorch.Tensor;

/** The cross-entropy of some rows by an output layer W, all of their logits at once. */
interface RowLosses extends AutoCloseable {
  /**
   * {@return losses, [rows, 1] float32}
   *
   * @param hidden h [rows, hidden], dense, of W's type
   * @param labels [rows] int64, each a token's id
   * @param smoothing share of each label that is spread evenly over the vocabulary
   * @param gradients what the summed losses' gradients are written to
   */
  Tensor of(Tensor hidden, Tensor labels, double smoothing, Gradients gradients);

  @Override
  void close();

  /**
   * Gradients of the summed losses.
   *
   * @param hidden [rows, hidden], of h's type, written; null: not wanted
   * @param weight of W's shape and type, added to; null: not wanted
   */
  record Gradients(Tensor hidden, Tensor weight) {
    static final Gradients NONE = new Gradients(null, null);

    boolean wanted() {
      return hidden != null || weight != null;
    }
  }
}
