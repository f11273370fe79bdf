package org.prunepeft.kernels;

/** Element type of a buffer; the ordinal is the {@code pp_dtype}. */
public enum DType {
  /** IEEE 754 single precision, 4 bytes. */
  FLOAT32(4),
  /** IEEE 754 half precision, 2 bytes. */
  FLOAT16(2),
  /** The upper half of a float32, 2 bytes. */
  BFLOAT16(2);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** {@return bytes of one element} */
  public int bytes() {
    return bytes;
  }
}
