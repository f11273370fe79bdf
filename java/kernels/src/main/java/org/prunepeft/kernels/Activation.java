package org.prunepeft.kernels;

/**
 * An adapter's nonlinearity; the ordinal is the {@code pp_activation}. GELU is the exact one,
 * x·Φ(x).
 */
public enum Activation {
  IDENTITY,
  RELU,
  GELU
}
