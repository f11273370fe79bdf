package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.kernels.AttentionKernels;
import org.prunepeft.kernels.Device;

/** Softmax attention over all heads as one operation of the autograd graph and of our kernels. */
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
    try (NoGradGuard guard = new NoGradGuard()) {
      context = Torch.emptyMatrix(qkv.size(0), qkv.size(1) / 3, input);
      logSums = Torch.emptyMatrix(extents.sequences() * extents.heads(), extents.tokens());
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
          Tensor dqkv = Torch.emptyMatrix(input.size(0), input.size(1), input);
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
