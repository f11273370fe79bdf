package org.prunepeft.kernels;

/**
 * Large products by a library, for {@link BorderedLinear}: {@link CublasProduct} on a CUDA device.
 */
public interface MatrixProduct {
  /**
   * out = left · rightᵀ, or left · right.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param left [M,I]
   * @param right [N,I] if {@code transposed}, else [I,N]; of left's type
   * @param transposed whether right is transposed
   * @param out [M,N], written; of left's type
   */
  void multiply(Device device, Matrix left, Matrix right, boolean transposed, Matrix out);
}
