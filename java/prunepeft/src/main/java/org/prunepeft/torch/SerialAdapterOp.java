package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Activation;
import org.prunepeft.kernels.AdapterKernels;
import org.prunepeft.kernels.Matrix;

/**
 * A serial bottleneck adapter, out = h + σ(v Dᵀ + d) Uᵀ + u, as one operation of the autograd
 * graph. v and h may be float32 or bfloat16; the weights and their gradients are float32.
 */
public final class SerialAdapterOp {
  private SerialAdapterOp() {}

  /**
   * @param down D [m,K]
   * @param downBias d [m]
   * @param up U [K,m]
   * @param upBias u [K]
   */
  public record Weights(
      Tensor down, Tensor downBias, Tensor up, Tensor upBias, Activation activation) {
    private Weights staged(Tape tape, torch.ScalarType type) {
      return new Weights(
          tape.staged(down, type),
          tape.staged(downBias, type),
          tape.staged(up, type),
          tape.staged(upBias, type),
          activation);
    }

    AdapterKernels.Weights matrices() {
      return new AdapterKernels.Weights(
          Torch.matrix(down),
          Torch.matrix(downBias),
          Torch.matrix(up),
          Torch.matrix(upBias),
          activation);
    }
  }

  /** Sees z [M,m] after the forward pass; the module's output is σ(z) Uᵀ + u. */
  @FunctionalInterface
  public interface Observer {
    void forward(Matrix z, AdapterKernels.Weights weights);
  }

  /**
   * @param v [M,K], dense
   * @param h [M,K], dense: the residual
   * @param observer null: none
   * @return out [M,K], of v's type
   */
  public static Tensor apply(Tape tape, Tensor v, Tensor h, Weights weights, Observer observer) {
    Tensor input = v.detach();
    Tensor out;
    Tensor z;
    ComputeDevice place = ComputeDevice.of(input);
    torch.ScalarType type = input.scalar_type().intern();
    Weights staged;
    try (NoGradGuard guard = new NoGradGuard()) {
      staged = weights.staged(tape, type);
      out = place.emptyMatrix(v.size(0), v.size(1), type);
      z = place.emptyMatrix(v.size(0), weights.down.size(0), place.stagedType(type));
      AdapterKernels.Weights matrices = staged.matrices();
      AdapterKernels.forward(
          place.kernels(),
          Torch.matrix(input),
          Torch.matrix(h.detach()),
          matrices,
          Torch.matrix(z),
          Torch.matrix(out),
          tape.workspace());
      if (observer != null) {
        observer.forward(Torch.matrix(z), matrices);
      }
    }
    boolean needsInput = v.requires_grad();
    return tape.record(
        out,
        List.of(v, h, weights.down, weights.downBias, weights.up, weights.upBias),
        List.of(v, z, weights.down, weights.up),
        gradient -> backward(tape, gradient.contiguous(), input, z, staged, needsInput));
  }

  private static Tensor[] backward(
      Tape tape, Tensor dout, Tensor v, Tensor z, Weights weights, boolean needsInput) {
    long m = weights.down.size(0);
    long k = weights.down.size(1);
    ComputeDevice place = ComputeDevice.of(v);
    Tensor down = place.emptyMatrix(m, k);
    Tensor downBias = place.zeros(m);
    Tensor up = place.emptyMatrix(k, m);
    Tensor upBias = place.zeros(k);
    Tensor dv = needsInput ? place.emptyMatrix(v.size(0), k, v.scalar_type().intern()) : null;
    AdapterKernels.backward(
        place.kernels(),
        Torch.matrix(dout),
        Torch.matrix(v),
        Torch.matrix(z),
        weights.matrices(),
        new AdapterKernels.Gradients(
            Torch.matrix(down), Torch.matrix(downBias), Torch.matrix(up), Torch.matrix(upBias)),
        false,
        dv == null ? null : Torch.matrix(dv),
        tape.workspace());
    return new Tensor[] {dv, dout, down, downBias, up, upBias};
  }
}
