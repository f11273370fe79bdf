package org.prunepeft.kernels;

/** Instruction set of the CPU paths, in rising order; the ordinal is the {@code pp_isa}. */
public enum Isa {
  PORTABLE,
  AVX2,
  AVX512
}
