package org.prunepeft.kernels;

/** Instruction set of the CPU paths, in rising order; the ordinal is the {@code pp_isa}. */
public enum Isa {
  /** Any x86-64 processor. */
  PORTABLE,
  /** AVX2 with FMA. */
  AVX2,
  /** AVX-512 F, BW, DQ and VL. */
  AVX512,
  /** AVX-512 with instructions for bfloat16; the others widen it to float32. */
  AVX512_BF16,
  /**
   * The above with tile registers (AMX-TILE, AMX-BF16), in which the fused linear multiplies
   * bfloat16.
   */
  AMX
}
