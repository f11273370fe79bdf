package org.prunepeft.kernels;

/**
 * A LoRA module on a frozen linear: s·D(x) Aᵀ Bᵀ, added to some columns of the output, on some
 * rows.
 *
 * @param <T> what its weights are: a {@link Matrix}, or a tensor of a library
 * @param a A [r,K]
 * @param b B [n,r]
 * @param firstColumn where its n columns of the output begin
 * @param rows those that it serves; null: all
 * @param scale s = alpha / r, or alpha / sqrt(r) for rsLoRA
 * @param dropout of its input; null: none
 */
public record LoraModule<T>(T a, T b, long firstColumn, Rows rows, float scale, Dropout dropout) {

  /**
   * A module that adds to all columns, on all rows, without dropout.
   *
   * @param a A [r,K]
   * @param b B [N,r]
   * @param scale s = alpha / r
   */
  public LoraModule(T a, T b, float scale) {
    this(a, b, 0, null, scale, null);
  }

  /** {@return whether it drops some of its input} */
  public boolean drops() {
    return dropout != null && dropout.p() > 0;
  }

  /**
   * {@return the same on other rows}
   *
   * @param own null: all
   */
  public LoraModule<T> on(Rows own) {
    return new LoraModule<>(a, b, firstColumn, own, scale, dropout);
  }

  /**
   * {@return the same with other weights}
   *
   * @param newA A [r,K]
   * @param newB B [n,r]
   * @param <U> what they are
   */
  public <U> LoraModule<U> of(U newA, U newB) {
    return new LoraModule<>(newA, newB, firstColumn, rows, scale, dropout);
  }
}
