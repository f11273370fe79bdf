package org.prunepeft.kernels;

/**
 * An adapter's nonlinearity; the ordinal is the {@code pp_activation}. GELU is the exact one,
 * x·Φ(x); SiLU, also called swish, is x / (1 + exp(-x)).
 */
public enum Activation {
  IDENTITY,
  RELU,
  GELU,
  SILU
}
