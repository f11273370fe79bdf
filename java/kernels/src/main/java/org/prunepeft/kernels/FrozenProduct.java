package org.prunepeft.kernels;

/**
 * The products with W of {@link Linear.Path#SPLIT} by a library. A {@link Linear} that is given one
 * calls it where that path should be the faster.
 *
 * <p>The matrices of a call are of one type and lie on the device. On a GPU a call enqueues its
 * work on the device's stream, behind what is there already. A call for M = 0 reads and writes
 * nothing.
 */
public interface FrozenProduct {
  /** {@return the device, and on a GPU its stream, that the products are computed on} */
  Device device();

  /**
   * y = x Wᵀ + b.
   *
   * @param x [M,K]
   * @param w W [N,K]
   * @param bias b [N]; null: none
   * @param y [M,N], written
   */
  void forward(Matrix x, Matrix w, Matrix bias, Matrix y);

  /**
   * dX = dY W.
   *
   * @param dy [M,N]
   * @param w W [N,K]
   * @param dx [M,K], written
   */
  void gradInput(Matrix dy, Matrix w, Matrix dx);
}
