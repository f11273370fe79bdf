package org.prunepeft.kernels;

/** Element type of a buffer; the ordinal is the {@code pp_dtype}. */
public enum DType {
  FLOAT32(4),
  FLOAT16(2),
  BFLOAT16(2);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }
}
