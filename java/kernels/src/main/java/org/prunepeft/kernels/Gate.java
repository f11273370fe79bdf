package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Gated activations (Shazeer 2020), out = σ(gate)∘up; the ordinal is the {@code pp_gate}. Errors as
 * in {@link Linear}.
 */
public enum Gate {
  /** σ is SiLU, x · sigmoid(x). */
  SWIGLU,
  /** σ is the exact GELU. */
  GEGLU,
  /** σ is GELU approximated by tanh. */
  GEGLU_TANH;

  /**
   * @param gateUp gate and up side by side, [M, 2·I]
   * @param out [M, I], written
   */
  public void forward(Context context, Matrix gateUp, Matrix out) {
    gateUp.require("gateUp", out.dtype(), out.rows(), 2 * out.cols());
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_gate_forward(
            context.struct(), ordinal(), call.matrix(0, gateUp), call.matrix(1, out)),
        context);
  }

  /**
   * The gradients by gate and up.
   *
   * @param dout [M, I]
   * @param gateUp [M, 2·I], as {@link #forward} read it
   * @param dgateUp of its shape, written; may be its buffer
   */
  public void backward(Context context, Matrix dout, Matrix gateUp, Matrix dgateUp) {
    gateUp.require("gateUp", dout.dtype(), dout.rows(), 2 * dout.cols());
    dgateUp.require("dgateUp", dout.dtype(), gateUp.rows(), gateUp.cols());
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_gate_backward(
            context.struct(),
            ordinal(),
            call.matrix(0, dout),
            call.matrix(1, gateUp),
            call.matrix(2, dgateUp)),
        context);
  }
}
