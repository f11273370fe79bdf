package org.prunepeft.kernels;

/**
 * An adapter's nonlinearity; the ordinal is the {@code pp_activation}. GELU is the exact one,
 * x·Φ(x); SiLU, also called swish, is x / (1 + exp(-x)).
 */
public enum Activation {
  /** x. */
  IDENTITY,
  /** max(x, 0). */
  RELU,
  /** x Φ(x), with the error function. */
  GELU,
  /** x · sigmoid(x). */
  SILU
}
