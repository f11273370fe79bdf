package org.prunepeft.kernels;

/**
 * Large products by a library, for {@link LoraLinear}: {@link CublasProduct} on a CUDA device.
 * Calls on a device only enqueue.
 */
@FunctionalInterface
public interface MatrixProduct {
  /**
   * out = left · rightᵀ, or left · right.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param left [M,I]
   * @param right [N,I] if {@code transposed}, else [I,N]; of left's type
   * @param transposed whether right is transposed
   * @param out [M,N], written; of left's type
   * @param workspace scratch memory of the device, for this call alone
   */
  void multiply(
      Device device,
      Matrix left,
      Matrix right,
      boolean transposed,
      Matrix out,
      Workspace workspace);
}
