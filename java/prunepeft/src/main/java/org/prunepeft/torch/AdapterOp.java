package org.prunepeft.torch;

import java.util.List;
import java.util.function.Consumer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.Adapter;
import org.prunepeft.kernels.ModuleOutput;

/**
 * A serial bottleneck adapter, out = h + σ(v Dᵀ + d) Uᵀ + u, as one operation of the autograd
 * graph. v and h may be float32 or bfloat16; the weights and their gradients are float32.
 */
public final class AdapterOp {
  private AdapterOp() {}

  /**
   * @param down D [m,K]
   * @param downBias d [m]
   * @param up U [K,m]
   * @param upBias u [K]
   */
  public record Parameters(
      Tensor down, Tensor downBias, Tensor up, Tensor upBias, Activation activation) {
    private Parameters staged(Tape tape, torch.ScalarType type) {
      return new Parameters(
          tape.staged(down, type),
          tape.staged(downBias, type),
          tape.staged(up, type),
          tape.staged(upBias, type),
          activation);
    }

    /** {@return the weights as they lie in memory, float32, for kernels on the CPU} */
    public Adapter.Weights matrices(Tape tape) {
      return new Adapter.Weights(
          tape.matrix(down),
          tape.matrix(downBias),
          tape.matrix(up),
          tape.matrix(upBias),
          activation);
    }

    private Adapter.Pass pass(Tensor v, Tensor z) {
      return new Adapter.Pass(
          new Adapter.Weights(
              Torch.matrix(down),
              Torch.matrix(downBias),
              Torch.matrix(up),
              Torch.matrix(upBias),
              activation),
          Torch.matrix(v),
          Torch.matrix(z));
    }
  }

  /**
   * @param v [M,K], dense
   * @param h [M,K], dense: the residual
   * @param observer is given what is added to h, good until this returns; null: none
   * @return out [M,K], of v's type
   */
  public static Tensor apply(
      Tape tape, Tensor v, Tensor h, Parameters weights, Consumer<ModuleOutput> observer) {
    Tensor input = v.detach();
    Tensor out;
    Tensor z;
    ComputeDevice place = ComputeDevice.of(input);
    torch.ScalarType type = input.scalar_type().intern();
    Parameters staged;
    try (NoGradGuard guard = new NoGradGuard()) {
      staged = weights.staged(tape, type);
      out = place.emptyMatrix(v.size(0), v.size(1), type);
      z = place.emptyMatrix(v.size(0), weights.down.size(0), place.stagedType(type));
      Adapter.Pass pass = staged.pass(input, z);
      // No backward pass reads it.
      try (Tensor residual = h.detach()) {
        Adapter.forward(
            tape.context(place.kernels()), pass, Torch.matrix(residual), Torch.matrix(out));
      }
      if (observer != null) {
        Adapter.Weights used = pass.weights();
        observer.accept(new ModuleOutput(pass.z(), used.activation(), used.up(), used.upBias()));
      }
    }
    boolean needsInput = v.requires_grad();
    return tape.record(
        out,
        List.of(v, h, weights.down, weights.downBias, weights.up, weights.upBias),
        List.of(input, z, weights.down, weights.up),
        gradient -> backward(tape, gradient.contiguous(), input, z, staged, needsInput));
  }

  private static Tensor[] backward(
      Tape tape, Tensor dout, Tensor v, Tensor z, Parameters weights, boolean needsInput) {
    long m = weights.down.size(0);
    long k = weights.down.size(1);
    ComputeDevice place = ComputeDevice.of(v);
    Tensor down = place.emptyMatrix(m, k);
    Tensor downBias = place.zeros(m);
    Tensor up = place.emptyMatrix(k, m);
    Tensor upBias = place.zeros(k);
    if (v.size(0) == 0) {
      // The kernels leave gradients without rows as they are.
      down.zero_();
      up.zero_();
    }
    Tensor dv = needsInput ? place.emptyMatrix(v.size(0), k, v.scalar_type().intern()) : null;
    Adapter.backward(
        tape.context(place.kernels()),
        weights.pass(v, z),
        Torch.matrix(dout),
        new Adapter.Gradients(
            Torch.matrix(down), Torch.matrix(downBias), Torch.matrix(up), Torch.matrix(upBias)),
        dv == null ? null : Torch.matrix(dv));
    return new Tensor[] {dv, dout, down, downBias, up, upBias};
  }
}
