package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Attention;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;

/**
 * Softmax attention over all heads as one operation of the autograd graph and of our kernels, on
 * the CPU.
 */
public final class AttentionOp {
  private AttentionOp() {}

  /**
   * @param qkv query, key and value side by side, each head by head, [M, (heads + 2·keyHeads)·d],
   *     dense, float32 or bfloat16
   * @param attention whose mask and starts, if any, stay valid until the backward pass is over
   * @return the context [M, heads·d], of the same type
   */
  public static Tensor apply(Tape tape, Tensor qkv, Attention attention) {
    Context cpu = tape.context(Device.cpu());
    Tensor input = qkv.detach();
    Tensor values;
    Tensor logSums;
    torch.ScalarType type = input.scalar_type().intern();
    try (NoGradGuard guard = new NoGradGuard()) {
      long columns = attention.heads() * attention.headSize();
      values = ComputeDevice.CPU.emptyMatrix(qkv.size(0), columns, type);
      logSums =
          ComputeDevice.CPU.emptyMatrix(
              attention.sequences() * attention.heads(), attention.tokens());
      attention.forward(cpu, Torch.matrix(input), Torch.matrix(values), Torch.matrix(logSums));
    }
    return tape.record(
        values,
        List.of(qkv),
        List.of(input, logSums),
        gradient -> {
          Tensor dqkv = ComputeDevice.CPU.emptyMatrix(input.size(0), input.size(1), type);
          attention.backward(
              cpu,
              Torch.matrix(gradient.contiguous()),
              Torch.matrix(input),
              Torch.matrix(logSums),
              Torch.matrix(dqkv));
          return new Tensor[] {dqkv};
        });
  }

  /**
   * {@return the context [M, heads·d] of the last tokens of a cache, of q's type; no gradient goes
   * through it}
   *
   * @param q query [M, heads·d]
   * @param keys as {@link Attention#cached} takes them
   * @param values of the same shape
   * @param keyCount tokens in the cache, with the new ones, which come last
   */
  static Tensor cached(
      Tape tape, Tensor q, Tensor keys, Tensor values, long keyCount, Attention attention) {
    Tensor context = ComputeDevice.CPU.emptyMatrix(q.size(0), q.size(1), q.scalar_type().intern());
    attention.cached(
        tape.context(Device.cpu()),
        keyCount,
        Torch.matrix(q.detach()),
        Torch.matrix(keys.detach()),
        Torch.matrix(values.detach()),
        Torch.matrix(context));
    return context;
  }
}
