package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.prunepeft.kernels.binding.AttentionStruct;
import org.prunepeft.kernels.binding.LibPrunePeft;

/**
 * Softmax attention, values = softmax(scale · Q Kᵀ + mask) V for each sequence and head, on the
 * CPU. Its M = sequences · tokens rows have heads · headSize columns of query, and keyHeads ·
 * headSize for each of key and value. Errors as in {@link Linear}.
 *
 * @param sequences 0 or more
 * @param tokens of each sequence, padding included
 * @param heads 1 or more
 * @param headSize d, 1 or more
 * @param mask M bytes, 0 for a token that none attends to; null: there is none
 * @param causal a decoder's; null: an encoder's, whose tokens see all, with as many heads of keys
 *     as of queries and scale 1 / √d
 */
public record Attention(
    long sequences, long tokens, long heads, long headSize, BytePointer mask, Causal causal) {
  /**
   * Attention in which a token sees itself and what comes before it.
   *
   * @param keyHeads heads of key and value, a divisor of heads: each serves heads / keyHeads heads
   *     in a row
   * @param scale what scores are multiplied by
   * @param window a token sees none that comes so many tokens or more before it; 0: no limit
   * @param cap c: scores become c·tanh(score / c); 0: they stay as they are
   * @param starts M numbers: the place in its sequence at which a token's own sample begins, before
   *     which it sees none; null: 0 for all
   */
  public record Causal(long keyHeads, float scale, long window, float cap, IntPointer starts) {}

  /** An encoder's. */
  public Attention(long sequences, long tokens, long heads, long headSize, BytePointer mask) {
    this(sequences, tokens, heads, headSize, mask, null);
  }

  /**
   * softmax(scale · Q Kᵀ + mask) V; zeros for a token that sees none.
   *
   * @param qkv query, key and value side by side, each head by head, [M, (heads + 2·keyHeads)·d]
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
            new FloatPointer(logSums.data())),
        this,
        context,
        logSums);
  }

  /**
   * The gradient of query, key and value.
   *
   * @param valuesGradient [M, heads·d]
   * @param qkv as in {@link #forward}
   * @param logSums as {@link #forward} wrote it
   * @param qkvGradient of qkv's shape, written; not the buffer of qkv
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
            call.matrix(2, qkvGradient)),
        this,
        context,
        logSums);
  }

  /**
   * The last tokens of each sequence attend to all {@code keyCount} of it: when a text is generated
   * with a cache. A mask, if any, has a byte for each row of keys.
   *
   * @param keyCount tokens of key and value, as many as the sequences' or more
   * @param q [M, heads·d]
   * @param k [sequences · C, keyHeads·d], C at least keyCount: rows from keyCount on are not read
   * @param v of k's shape
   * @param values [M, heads·d], written
   */
  public void cached(Context context, long keyCount, Matrix q, Matrix k, Matrix v, Matrix values) {
    long rows = Math.multiplyExact(sequences, tokens);
    long columns = Math.multiplyExact(heads, headSize);
    q.require("q", q.dtype(), rows, columns);
    k.require("k", q.dtype(), k.rows(), keyHeads() * headSize);
    v.require("v", q.dtype(), k.rows(), k.cols());
    values.require("values", q.dtype(), rows, columns);
    requireBuffers(k.rows(), rows);
    Arguments call = context.arguments();
    check(
        LibPrunePeft.pp_attention_cached(
            context.struct(),
            write(call.attention()),
            keyCount,
            call.matrix(0, q),
            call.matrix(1, k),
            call.matrix(2, v),
            call.matrix(3, values)),
        this,
        context);
  }

  /** {@return heads of key and value} */
  public long keyHeads() {
    return causal == null ? heads : causal.keyHeads;
  }

  /** {@return columns of query, key and value side by side} */
  public long columns() {
    return Math.multiplyExact(heads + 2 * keyHeads(), headSize);
  }

  AttentionStruct write(AttentionStruct struct) {
    struct.sequences(sequences).tokens(tokens).heads(heads).head_size(headSize).mask(mask);
    return causal == null
        ? struct
            .scale((float) (1 / Math.sqrt(headSize)))
            .key_heads(0)
            .starts(null)
            .window(0)
            .cap(0)
            .causal(0)
        : struct
            .scale(causal.scale)
            .key_heads(causal.keyHeads)
            .starts(causal.starts)
            .window(causal.window)
            .cap(causal.cap)
            .causal(1);
  }

  private void require(Matrix qkv, Matrix values, Matrix logSums) {
    long rows = requireBuffers();
    qkv.require("qkv", qkv.dtype(), rows, columns());
    values.require("values", qkv.dtype(), rows, Math.multiplyExact(heads, headSize));
    logSums.require("logSums", DType.FLOAT32, sequences * heads, tokens);
    if (logSums.ld() != tokens) {
      throw new IllegalArgumentException("logSums must be dense, got rows of " + logSums.ld());
    }
  }

  /** {@return rows, which mask and starts must have} */
  long requireBuffers() {
    long rows = Math.multiplyExact(sequences, tokens);
    requireBuffers(rows, rows);
    return rows;
  }

  private void requireBuffers(long maskBytes, long rows) {
    Arguments.requireLength("the mask", mask, maskBytes, "bytes");
    Arguments.requireLength("starts", causal == null ? null : causal.starts, rows, "numbers");
  }
}
