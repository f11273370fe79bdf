package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Gate;

/** A gated activation, σ(gate)∘up, by our kernels, without a tape by LibTorch. */
public final class GatedActivationOp {
  private GatedActivationOp() {}

  /**
   * {@return σ(gate)∘up, [M, I], of gateUp's type}
   *
   * @param tape null: by LibTorch
   * @param gate σ
   * @param gateUp gate and up side by side, [M, 2·I], dense, float32 or bfloat16
   */
  public static Tensor apply(Tape tape, Gate gate, Tensor gateUp) {
    if (tape == null) {
      return byLibTorch(gate, gateUp);
    }
    ComputeDevice place = ComputeDevice.of(gateUp);
    Context context = tape.context(place.kernels());
    Tensor input = gateUp.detach();
    torch.ScalarType type = input.scalar_type().intern();
    Tensor out;
    try (NoGradGuard guard = new NoGradGuard()) {
      out = place.emptyMatrix(input.size(0), input.size(1) / 2, type);
      gate.forward(context, Torch.matrix(input), Torch.matrix(out));
    }
    return tape.record(
        out,
        List.of(gateUp),
        List.of(input),
        gradient -> {
          Tensor dgateUp = place.emptyMatrix(input.size(0), input.size(1), type);
          gate.backward(
              context,
              Torch.matrix(gradient.contiguous()),
              Torch.matrix(input),
              Torch.matrix(dgateUp));
          return new Tensor[] {dgateUp};
        });
  }

  private static Tensor byLibTorch(Gate gate, Tensor gateUp) {
    long width = gateUp.size(1) / 2;
    Tensor z = gateUp.narrow(1, 0, width);
    Tensor active =
        switch (gate) {
          case SWIGLU -> torch.silu(z);
          case GEGLU -> torch.gelu(z);
          case GEGLU_TANH -> torch.gelu(z, "tanh");
        };
    return active.mul(gateUp.narrow(1, width, width));
  }
}
