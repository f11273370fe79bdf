package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

class MatrixTest {
  private static String refusal(Pointer data, DType dtype, long rows, long cols, long ld) {
    return assertThrows(
            IllegalArgumentException.class, () -> new Matrix(data, dtype, rows, cols, ld))
        .getMessage();
  }

  @Test
  void bufferThatIsTooShortIsRefused() {
    assertEquals(
        "matrix of 2 x 3 with leading dimension 4 needs 28 bytes, its buffer has 24",
        refusal(new FloatPointer(6), DType.FLOAT32, 2, 3, 4));
    assertEquals(
        "matrix of 2 x 3 with leading dimension 3 needs 24 bytes, its buffer has 23",
        refusal(new BytePointer(23), DType.FLOAT32, 2, 3, 3));
  }

  @Test
  void lastRowNeedsOnlyItsColumns() {
    Matrix.of(new FloatPointer(7), 2, 3, 4);
    new Matrix(new FloatPointer(3), DType.BFLOAT16, 2, 3, 3);
  }

  @Test
  void positionOfThePointerCounts() {
    FloatPointer data = new FloatPointer(new float[] {1, 2, 3, 4, 5});
    Matrix matrix = Matrix.vector(data.position(2), 3);
    assertEquals(3, new FloatPointer(matrix.data()).get());
    assertEquals(
        "matrix of 1 x 4 with leading dimension 4 needs 16 bytes, its buffer has 12",
        refusal(data, DType.FLOAT32, 1, 4, 4));
  }

  @Test
  void leadingDimensionBelowTheColumnsIsRefused() {
    assertEquals(
        "leading dimension must be at least 3 (columns), got 2",
        refusal(new FloatPointer(6), DType.FLOAT32, 2, 3, 2));
  }

  @Test
  void negativeExtentIsRefused() {
    assertEquals(
        "matrix extents must be 0 or more, got -1 x 3",
        refusal(new FloatPointer(6), DType.FLOAT32, -1, 3, 3));
  }

  @Test
  void nullPointerIsRefusedUnlessTheMatrixIsEmpty() {
    assertEquals(
        "matrix of 2 x 3 has no memory (null pointer)", refusal(null, DType.FLOAT32, 2, 3, 3));
    assertEquals(
        "matrix of 2 x 3 has no memory (null pointer)",
        refusal(new FloatPointer((Pointer) null), DType.FLOAT32, 2, 3, 3));
    Matrix.of(null, 0, 3);
    Matrix.of(null, 2, 0);
  }

  @Test
  void extentsWhoseBytesOverflowAreRefused() {
    // 2^62 elements: four bytes each are 0 modulo 2^64.
    assertEquals(
        "matrix of 2147483649 x 2147483648 with leading dimension 2147483648"
            + " has more bytes than a long can count",
        refusal(new FloatPointer(6), DType.FLOAT32, (1L << 31) + 1, 1L << 31, 1L << 31));
    assertThrows(
        IllegalArgumentException.class, () -> Matrix.of(new FloatPointer(6), Long.MAX_VALUE, 3));
  }

  @Test
  void aPartThatLiesOutsideIsNamed() {
    Matrix matrix = Buffer.filled(0, 3, 4, 4).matrix();
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> matrix.part(1, 2, 2, 3));
    assertEquals("a part of 2 x 3 from (1, 2) lies outside of 3 x 4", e.getMessage());
  }
}
