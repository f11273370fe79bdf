package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.prunepeft.kernels.binding.AttentionStruct;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Softmax attention, values = softmax(Q Kᵀ / √d + mask) V for each sequence and head, on the CPU.
 * Its M = sequences · tokens rows have heads · headSize columns for each of query, key and value.
 * Errors as in {@link Linear}.
 *
 * @param sequences 0 or more
 * @param tokens of each sequence, padding included
 * @param heads 1 or more
 * @param headSize d, 1 or more
 * @param mask M bytes, 0 for a token that none attends to; null: there is none
 */
public record Attention(long sequences, long tokens, long heads, long headSize, BytePointer mask) {
  /**
   * softmax(Q Kᵀ / √d + mask) V.
   *
   * @param qkv query, key and value side by side, each head by head, [M, 3·heads·d]
   * @param values [M, heads·d], written
   * @param logSums [sequences·heads, tokens] in float32, dense, written; the backward pass needs it
   */
  public void forward(Context context, Matrix qkv, Matrix values, Matrix logSums) {
    require(qkv, values, logSums);
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_attention_forward(
            context.struct(),
            write(call.attention()),
            call.matrix(0, qkv),
            call.matrix(1, values),
            new FloatPointer(logSums.data())));
  }

  /**
   * The gradient of query, key and value.
   *
   * @param valuesGradient [M, heads·d]
   * @param qkv as in {@link #forward}
   * @param logSums as {@link #forward} wrote it
   * @param qkvGradient [M, 3·heads·d], written; not the buffer of qkv
   */
  public void backward(
      Context context, Matrix valuesGradient, Matrix qkv, Matrix logSums, Matrix qkvGradient) {
    require(qkv, valuesGradient, logSums);
    qkvGradient.require("gradient of qkv", qkv.dtype(), qkv.rows(), qkv.cols());
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_attention_backward(
            context.struct(),
            write(call.attention()),
            call.matrix(0, valuesGradient),
            call.matrix(1, qkv),
            new FloatPointer(logSums.data()),
            call.matrix(2, qkvGradient)));
  }

  private AttentionStruct write(AttentionStruct struct) {
    return struct
        .sequences(sequences)
        .tokens(tokens)
        .heads(heads)
        .head_size(headSize)
        .scale((float) (1 / Math.sqrt(headSize)))
        .mask(mask);
  }

  private void require(Matrix qkv, Matrix values, Matrix logSums) {
    long rows = Math.multiplyExact(sequences, tokens);
    long columns = Math.multiplyExact(heads, headSize);
    if (mask != null && mask.limit() > 0 && mask.limit() - mask.position() < rows) {
      throw new IllegalArgumentException(
          "the mask needs " + rows + " bytes, its buffer has " + (mask.limit() - mask.position()));
    }
    qkv.require("qkv", qkv.dtype(), rows, 3 * columns);
    values.require("values", qkv.dtype(), rows, columns);
    logSums.require("logSums", DType.FLOAT32, sequences * heads, tokens);
    if (logSums.ld() != tokens) {
      throw new IllegalArgumentException("logSums must be dense, got rows of " + logSums.ld());
    }
  }
}
