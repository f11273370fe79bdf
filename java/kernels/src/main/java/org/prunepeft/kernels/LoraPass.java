package org.prunepeft.kernels;

import org.bytedeco.javacpp.Pointer;

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
 * @param keptMask for CUDA: {@link Linear#keptMaskBytes} of the device's memory, aligned to 16
 *     bytes, in which forward calls leave the module's dropout mask for those of the backward pass;
 *     these give the same bits. Null: they draw the mask again
 */
public record LoraPass(
    LoraModule<Matrix> module, Matrix s, Matrix ds, Matrix da, Matrix db, Pointer keptMask) {
  /**
   * A pass that keeps no mask.
   *
   * @param module its weights
   * @param s S [M,r]
   * @param ds dS [M,r]
   * @param da dA [r,K], float32
   * @param db dB [n,r], float32
   */
  public LoraPass(LoraModule<Matrix> module, Matrix s, Matrix ds, Matrix da, Matrix db) {
    this(module, s, ds, da, db, null);
  }

  /**
   * A forward pass that keeps no mask.
   *
   * @param module its weights
   * @param s S [M,r]
   */
  public LoraPass(LoraModule<Matrix> module, Matrix s) {
    this(module, s, null, null, null);
  }

  /**
   * {@return the same with memory for its mask}
   *
   * @param mask null: none
   */
  public LoraPass keeping(Pointer mask) {
    return new LoraPass(module, s, ds, da, db, mask);
  }
}
