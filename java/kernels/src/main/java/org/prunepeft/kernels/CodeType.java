package org.prunepeft.kernels;

/** In what codes a frozen weight is kept; the ordinal is the {@code pp_quantization}. */
public enum CodeType {
  /** 8 bits: W(i, j) = code · scale, a scale for each row. */
  INT8,
  /** 4 bits: W(i, j) = table[code] · scale, a scale for each block of elements (QLoRA). */
  NF4
}
