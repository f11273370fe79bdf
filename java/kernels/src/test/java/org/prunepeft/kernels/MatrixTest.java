package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class MatrixTest {
  private static String refusal(Pointer data, DType dtype, long rows, long cols, long ld) {
    return refusal(() -> new Matrix(data, dtype, rows, cols, ld));
  }

  private static String refusal(Executable made) {
    return assertThrows(IllegalArgumentException.class, made).getMessage();
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

  private static FloatBuffer direct(ByteOrder order, int floats) {
    return ByteBuffer.allocateDirect(floats * Float.BYTES).order(order).asFloatBuffer();
  }

  @Test
  void aDirectBufferIsTakenFromItsPositionOn() {
    FloatBuffer data = direct(ByteOrder.nativeOrder(), 5).put(new float[] {1, 2, 3, 4, 5});
    Matrix matrix = Matrix.wrap(data.position(2), 1, 3);
    FloatPointer first = new FloatPointer(matrix.data());
    assertEquals(3, first.get());
    data.put(2, 30);
    assertEquals(30, first.get());
    assertEquals(
        "matrix of 2 x 2 with leading dimension 2 needs 16 bytes, its buffer has 12",
        refusal(() -> Matrix.wrap(data, 2, 2)));
    assertEquals(
        "matrix of 1 x 1 has no memory (null pointer)",
        refusal(() -> Matrix.wrap(data.position(5), 1, 1)));
  }

  @Test
  void aBufferThatWouldBeCopiedIsRefused() {
    String remedy =
        "the buffer of a matrix must be direct and in native byte order, as"
            + " ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer(),";
    ByteOrder other =
        ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
            ? ByteOrder.LITTLE_ENDIAN
            : ByteOrder.BIG_ENDIAN;
    assertEquals(
        remedy + " got a heap buffer", refusal(() -> Matrix.wrap(FloatBuffer.allocate(6), 2, 3)));
    assertEquals(
        remedy + " got a " + other + " buffer", refusal(() -> Matrix.wrap(direct(other, 6), 2, 3)));
  }

  @Test
  void anAddressIsAMatrixUnlessItIsNull() {
    FloatPointer data = new FloatPointer(new float[] {1, 2, 3});
    Matrix matrix = Matrix.at(data.address() + Float.BYTES, 1, 2);
    assertEquals(2, new FloatPointer(matrix.data()).get());
    assertEquals("matrix of 1 x 2 has no memory (null pointer)", refusal(() -> Matrix.at(0, 1, 2)));
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
