package org.prunepeft.kernels;

/** Instruction set of the CPU paths, in rising order; the ordinal is the {@code pp_isa}. */
public enum Isa {
  PORTABLE,
  AVX2,
  AVX512,
  /** AVX-512 with instructions for bfloat16; the others widen it to float32. */
  AVX512_BF16,
  /**
   * The above with tile registers (AMX-TILE, AMX-BF16), in which the fused linear multiplies
   * bfloat16.
   */
  AMX
}
