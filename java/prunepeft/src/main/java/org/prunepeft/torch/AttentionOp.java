package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.AttentionKernels;
import org.prunepeft.kernels.Device;

/**
 * Softmax attention over all heads as one operation of the autograd graph and of our kernels, on
 * the CPU.
 */
public final class AttentionOp {
  private AttentionOp() {}

  /**
   * @param qkv query, key and value side by side, each head by head, [M, 3·hidden], dense, float32
   *     or bfloat16
   * @param extents whose mask, if any, stays valid until the backward pass is over
   * @return the context [M, hidden], of the same type
   */
  public static Tensor apply(Tape tape, Tensor qkv, AttentionKernels.Extents extents) {
    Tensor input = qkv.detach();
    Tensor context;
    Tensor logSums;
    torch.ScalarType type = input.scalar_type().intern();
    try (NoGradGuard guard = new NoGradGuard()) {
      context = ComputeDevice.CPU.emptyMatrix(qkv.size(0), qkv.size(1) / 3, type);
      logSums =
          ComputeDevice.CPU.emptyMatrix(extents.sequences() * extents.heads(), extents.tokens());
      AttentionKernels.forward(
          Device.cpu(),
          extents,
          Torch.matrix(input),
          Torch.matrix(context),
          Torch.matrix(logSums),
          tape.workspace());
    }
    return tape.record(
        context,
        List.of(qkv),
        List.of(qkv, logSums),
        gradient -> {
          Tensor dqkv = ComputeDevice.CPU.emptyMatrix(input.size(0), input.size(1), type);
          AttentionKernels.backward(
              Device.cpu(),
              extents,
              Torch.matrix(gradient.contiguous()),
              Torch.matrix(input),
              Torch.matrix(logSums),
              Torch.matrix(dqkv),
              tape.workspace());
          return new Tensor[] {dqkv};
        });
  }
}
