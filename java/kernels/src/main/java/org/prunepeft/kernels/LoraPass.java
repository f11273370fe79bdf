package org.prunepeft.kernels;

/**
 * A LoRA module in a call, with the matrices of the pass. Of S and dS, which have as many rows as
 * the batch, the module's rows are used. What a call does not name may be null.
 *
 * @param module its weights, of which a call that does not read them may have null
 * @param s S [M,r] = s·D(x) Aᵀ
 * @param ds dS [M,r] = s·dY B
 * @param da dA [r,K], float32
 * @param db dB [n,r], float32. Passes of the same dA and dB are one module on several runs of rows:
 *     gradients add up
 */
public record LoraPass(LoraModule<Matrix> module, Matrix s, Matrix ds, Matrix da, Matrix db) {
  /**
   * A forward pass.
   *
   * @param module its weights
   * @param s S [M,r]
   */
  public LoraPass(LoraModule<Matrix> module, Matrix s) {
    this(module, s, null, null, null);
  }
}
