package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_attention_backward;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_attention_backward_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_attention_forward;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_attention_forward_workspace;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.binding.AttentionStruct;

/**
 * Softmax attention, context = softmax(Q Kᵀ / √d + mask) V for each sequence and head, on the CPU.
 * Errors as in {@link LoraKernels}.
 */
public final class AttentionKernels {
  private AttentionKernels() {}

  /**
   * The extents of an attention, whose M = sequences · tokens rows have heads · headSize columns
   * for each of query, key and value.
   *
   * @param sequences 0 or more
   * @param tokens of each sequence, padding included
   * @param heads 1 or more
   * @param headSize d, 1 or more
   * @param mask M bytes, 0 for a token that none attends to; null: there is none
   */
  public record Extents(long sequences, long tokens, long heads, long headSize, BytePointer mask) {
    private AttentionStruct struct() {
      return new AttentionStruct()
          .sequences(sequences)
          .tokens(tokens)
          .heads(heads)
          .head_size(headSize)
          .scale((float) (1 / Math.sqrt(headSize)))
          .mask(mask);
    }

    private long rows() {
      return Math.multiplyExact(sequences, tokens);
    }

    private long columns() {
      return Math.multiplyExact(heads, headSize);
    }

    private void require(Matrix qkv, Matrix context, Matrix logSums) {
      if (mask != null && mask.limit() > 0 && mask.limit() - mask.position() < rows()) {
        throw new IllegalArgumentException(
            "the mask needs "
                + rows()
                + " bytes, its buffer has "
                + (mask.limit() - mask.position()));
      }
      qkv.require("qkv", qkv.dtype(), rows(), 3 * columns());
      context.require("context", qkv.dtype(), rows(), columns());
      logSums.require("logSums", DType.FLOAT32, sequences * heads, tokens);
      if (logSums.ld() != tokens) {
        throw new IllegalArgumentException("logSums must be dense, got rows of " + logSums.ld());
      }
    }
  }

  /**
   * The context.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param extents batch, tokens, heads and mask
   * @param qkv query, key and value side by side, each head by head, [M, 3·heads·d]
   * @param context [M, heads·d], written
   * @param logSums [sequences·heads, tokens] in float32, dense, written; the backward pass needs it
   * @param workspace scratch memory, not for two calls at once
   */
  public static void forward(
      Device device,
      Extents extents,
      Matrix qkv,
      Matrix context,
      Matrix logSums,
      Workspace workspace) {
    extents.require(qkv, context, logSums);
    try (PointerScope scope = new PointerScope()) {
      AttentionStruct struct = extents.struct();
      int dtype = qkv.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(device, pp_attention_forward_workspace(device.struct(), dtype, struct));
      check(
          pp_attention_forward(
              device.struct(),
              dtype,
              struct,
              qkv.data(),
              qkv.ld(),
              context.data(),
              context.ld(),
              new FloatPointer(logSums.data()),
              memory,
              memory.capacity()));
    }
  }

  /**
   * The gradient of query, key and value.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param extents batch, tokens, heads and mask
   * @param contextGradient [M, heads·d]
   * @param qkv as in {@link #forward}
   * @param logSums as {@link #forward} wrote it
   * @param qkvGradient [M, 3·heads·d], written; not the buffer of qkv
   * @param workspace scratch memory, not for two calls at once
   */
  public static void backward(
      Device device,
      Extents extents,
      Matrix contextGradient,
      Matrix qkv,
      Matrix logSums,
      Matrix qkvGradient,
      Workspace workspace) {
    extents.require(qkv, contextGradient, logSums);
    qkvGradient.require("gradient of qkv", qkv.dtype(), qkv.rows(), qkv.cols());
    try (PointerScope scope = new PointerScope()) {
      AttentionStruct struct = extents.struct();
      int dtype = qkv.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_attention_backward_workspace(device.struct(), dtype, struct));
      check(
          pp_attention_backward(
              device.struct(),
              dtype,
              struct,
              contextGradient.data(),
              contextGradient.ld(),
              qkv.data(),
              qkv.ld(),
              new FloatPointer(logSums.data()),
              qkvGradient.data(),
              qkvGradient.ld(),
              memory,
              memory.capacity()));
    }
  }
}
