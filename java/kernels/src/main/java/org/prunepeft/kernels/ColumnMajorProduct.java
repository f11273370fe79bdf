package org.prunepeft.kernels;

/**
 * A product of row-major matrices, out = left · rightᵀ or left · right, as a library sees it that
 * counts columns first: a row-major matrix [r,c] is to it the transposed one, [c,r] with the same
 * leading dimension, so that it computes outᵀ = op(right') · left'. A value: what a library has
 * worked out for one product holds for the next one that equals it.
 *
 * @param dtype of all three matrices
 * @param transposeA whether the first factor, right', is transposed
 * @param a right'
 * @param b left'
 * @param c outᵀ
 */
record ColumnMajorProduct(DType dtype, boolean transposeA, Layout a, Layout b, Layout c) {
  /** Libraries tell no alignments apart above this one, in bytes. */
  private static final long MOST_ALIGNMENT = 256;

  /**
   * A matrix whose columns lie one behind the other.
   *
   * @param ld elements from a column to the next
   * @param alignment of its first element, in bytes: a power of two, at most 256
   */
  record Layout(long rows, long cols, long ld, int alignment) {
    static Layout of(Matrix matrix) {
      return new Layout(
          matrix.cols(), matrix.rows(), matrix.ld(), alignment(matrix.data().address()));
    }

    static int alignment(long address) {
      return (int) Math.min(Long.lowestOneBit(address | MOST_ALIGNMENT), MOST_ALIGNMENT);
    }
  }

  /**
   * @throws IllegalArgumentException if shapes or types disagree, or a matrix is empty
   */
  static ColumnMajorProduct of(Matrix left, Matrix right, boolean transposed, Matrix out) {
    long inner = left.cols();
    right.require(
        "right", left.dtype(), transposed ? out.cols() : inner, transposed ? inner : out.cols());
    out.require("out", left.dtype(), left.rows(), out.cols());
    if (out.rows() == 0 || out.cols() == 0 || inner == 0) {
      throw new IllegalArgumentException(
          String.format(
              "a product needs at least one row, column and term, got %d x %d over %d",
              out.rows(), out.cols(), inner));
    }
    return new ColumnMajorProduct(
        left.dtype(), transposed, Layout.of(right), Layout.of(left), Layout.of(out));
  }
}
