package org.prunepeft.kernels;

import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A row-major matrix in memory that somebody else owns: element (i, j) lies {@code i * ld + j}
 * elements behind {@code data}.
 *
 * @param data the first element, in the memory of the device that the call names; may be null if
 *     rows or cols is 0
 * @param dtype element type
 * @param rows 0 or more
 * @param cols 0 or more
 * @param ld leading dimension in elements, at least cols
 */
public record Matrix(Pointer data, DType dtype, long rows, long cols, long ld) {
  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a size is out of range, or if the pointer knows its length
   *     (as JavaCPP's own allocations do) and is too short
   */
  public Matrix {
    if (rows < 0 || cols < 0) {
      throw new IllegalArgumentException(
          "matrix extents must be 0 or more, got " + rows + " x " + cols);
    }
    if (ld < cols) {
      throw new IllegalArgumentException(
          "leading dimension must be at least " + cols + " (columns), got " + ld);
    }
    long needed = rows == 0 || cols == 0 ? 0 : bytes(dtype, rows, cols, ld);
    if (needed > 0) {
      if (data == null || data.isNull()) {
        throw new IllegalArgumentException(
            "matrix of " + rows + " x " + cols + " has no memory (null pointer)");
      }
      long known = (data.limit() - data.position()) * data.sizeof();
      if (data.limit() > 0 && known < needed) {
        throw new IllegalArgumentException(
            String.format(
                "matrix of %d x %d with leading dimension %d needs %d bytes, its buffer has %d",
                rows, cols, ld, needed, known));
      }
      if (data.position() != 0) {
        data = Place.of(data);
      }
    }
  }

  private static long bytes(DType dtype, long rows, long cols, long ld) {
    try {
      return Math.multiplyExact(
          Math.addExact(Math.multiplyExact(rows - 1, ld), cols), (long) dtype.bytes());
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          String.format(
              "matrix of %d x %d with leading dimension %d has more bytes than a long can count",
              rows, cols, ld),
          e);
    }
  }

  /**
   * {@return a dense float32 matrix [rows, cols]}
   *
   * @param data the first element; the memory stays the caller's
   * @param rows 0 or more
   * @param cols 0 or more
   */
  public static Matrix of(Pointer data, long rows, long cols) {
    return new Matrix(data, DType.FLOAT32, rows, cols, cols);
  }

  /**
   * {@return a float32 matrix [rows, cols] with a leading dimension}
   *
   * @param data the first element; the memory stays the caller's
   * @param rows 0 or more
   * @param cols 0 or more
   * @param ld elements from one row to the next, cols or more
   */
  public static Matrix of(Pointer data, long rows, long cols, long ld) {
    return new Matrix(data, DType.FLOAT32, rows, cols, ld);
  }

  /**
   * {@return a float32 vector, as a matrix of one row}
   *
   * @param data the first element; the memory stays the caller's
   * @param length elements, 0 or more
   */
  public static Matrix vector(Pointer data, long length) {
    return of(data, 1, length);
  }

  /**
   * {@return a dense float32 matrix [rows, cols] in a buffer, from its position on, without a copy}
   *
   * @param data a direct buffer in native byte order, which a MemorySegment gives too; its memory
   *     must live as long as calls use it
   * @param rows 0 or more
   * @param cols 0 or more
   * @throws IllegalArgumentException if the buffer is another, whose values would have to be
   *     copied, or too short
   */
  public static Matrix wrap(FloatBuffer data, long rows, long cols) {
    if (!data.isDirect() || data.order() != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          "the buffer of a matrix must be direct and in native byte order, as"
              + " ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer(),"
              + " got a "
              + (data.isDirect() ? data.order() : "heap")
              + " buffer");
    }
    return of(data.hasRemaining() ? new FloatPointer(data.slice()) : null, rows, cols);
  }

  /**
   * {@return a dense float32 matrix [rows, cols] at an address, such as MemorySegment.address()}
   *
   * @param address of the first element, in the memory of the device that the call names; nobody
   *     checks that the matrix's memory is there
   * @param rows 0 or more
   * @param cols 0 or more
   */
  public static Matrix at(long address, long rows, long cols) {
    return of(new Place(address), rows, cols);
  }

  /**
   * {@return rows and columns of this matrix, in its memory}
   *
   * @param row the first, from 0
   * @param col the first, from 0
   * @param partRows how many, up to the rest
   * @param partCols how many, up to the rest
   * @throws IllegalArgumentException if they lie outside it
   */
  public Matrix part(long row, long col, long partRows, long partCols) {
    if (row < 0
        || col < 0
        || partRows < 0
        || partCols < 0
        || row > rows - partRows
        || col > cols - partCols) {
      throw new IllegalArgumentException(
          String.format(
              "a part of %d x %d from (%d, %d) lies outside of %d x %d",
              partRows, partCols, row, col, rows, cols));
    }
    Pointer first =
        partRows == 0 || partCols == 0 ? data : new Place(data, (row * ld + col) * dtype.bytes());
    return new Matrix(first, dtype, partRows, partCols, ld);
  }

  /** Throws if there is no matrix; `name` is what the message calls it. */
  static Matrix given(String name, Matrix matrix) {
    if (matrix == null) {
      throw new IllegalArgumentException(name + " must be given for this call, got null");
    }
    return matrix;
  }

  /**
   * Throws unless this matrix has the extents and the type; `name` is what the message calls it.
   */
  Matrix require(String name, DType type, long wantedRows, long wantedCols) {
    if (rows != wantedRows || cols != wantedCols || dtype != type) {
      throw new IllegalArgumentException(
          String.format(
              "%s must be %s [%d, %d], got %s [%d, %d]",
              name, type, wantedRows, wantedCols, dtype, rows, cols));
    }
    return this;
  }
}
