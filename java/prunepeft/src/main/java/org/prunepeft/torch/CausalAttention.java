package org.prunepeft.torch;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Attention;

/**
 * A decoder's attention: a token sees itself and what comes before it in its sample. By our kernels
 * on a CPU, by LibTorch on a GPU and without a tape. A token that sees none gets zeros.
 *
 * @param sequences B
 * @param tokens T, of each sequence, padding included
 * @param heads of query
 * @param keyHeads of key and value, a divisor of heads: each serves heads / keyHeads heads in a row
 * @param headSize d
 * @param scale what scores are multiplied by, 1 / √d as a rule
 * @param window a token sees none that comes so many tokens or more before it; 0: no limit
 * @param cap c: scores become c·tanh(score / c), as in Gemma 2; 0: they stay as they are
 * @param starts [B·T], int32: the place in its sequence at which a token's own sample begins,
 *     before which it sees none; stays valid until the backward pass is over; null: 0 for all
 * @param mask for LibTorch, from {@link #masked}; null: it is made when it is needed
 */
@RecordBuilder
public record CausalAttention(
    long sequences,
    long tokens,
    long heads,
    long keyHeads,
    long headSize,
    double scale,
    long window,
    double cap,
    Tensor starts,
    Mask mask)
    implements CausalAttentionBuilder.With {
  /** Elements of a head, the most that LibTorch's flash attention takes. */
  private static final long MOST_FLASH = 256;

  /**
   * What LibTorch's attention takes beside query, key and value.
   *
   * @param bias added to scores, 0 or, where a query does not see a key, -∞, [B or 1, 1, T, keys]
   * @param seeing 1, or 0 for a query that sees none, [B or 1, 1, T, 1]; null: all see some
   */
  public record Mask(Tensor bias, Tensor seeing) {}

  /**
   * {@return the same with the mask that LibTorch takes, if it takes one: for several layers, which
   * then share it; itself where our kernels compute}
   *
   * @param tape as {@link #apply} is given it
   * @param device of query, key and value
   * @param type of these
   * @param keyCount tokens in the cache with the T new ones; T without one
   */
  public CausalAttention masked(
      Tape tape, ComputeDevice device, torch.ScalarType type, long keyCount) {
    return byKernels(tape, device) || needsNoMask(keyCount)
        ? this
        : withMask(mask(device, wide(device, type), keyCount));
  }

  /**
   * {@return the context [B·T, heads·d], of qkv's type}
   *
   * @param tape null: by LibTorch
   * @param qkv query, key and value side by side, each head by head, [B·T, (heads + 2·keyHeads)·d],
   *     dense, float32 or bfloat16
   */
  public Tensor apply(Tape tape, Tensor qkv) {
    if (byKernels(tape, ComputeDevice.of(qkv))) {
      return AttentionOp.apply(tape, qkv, kernel());
    }
    long queries = heads * headSize;
    long keys = keyHeads * headSize;
    return byLibTorch(
        qkv.narrow(1, 0, queries),
        qkv.narrow(1, queries, keys),
        qkv.narrow(1, queries + keys, keys),
        tokens);
  }

  /**
   * {@return the context [B·T, heads·d] of the last T of a cache's tokens, of q's type; no gradient
   * goes through it on a CPU}
   *
   * @param tape null: by LibTorch
   * @param q query [B·T, heads·d]
   * @param keys [B·C, keyHeads·d]: C rows a sequence, of which the first keyCount are read
   * @param values of the same shape
   * @param keyCount tokens in the cache, with the T new ones, which come last
   */
  public Tensor cached(Tape tape, Tensor q, Tensor keys, Tensor values, long keyCount) {
    if (byKernels(tape, ComputeDevice.of(q))) {
      return AttentionOp.cached(tape, q, keys, values, keyCount, kernel());
    }
    return byLibTorch(q, first(keys, keyCount), first(values, keyCount), keyCount);
  }

  private static boolean byKernels(Tape tape, ComputeDevice device) {
    return tape != null && !device.isCuda();
  }

  /** LibTorch's attention in bfloat16 is several times slower on a CPU. */
  private static torch.ScalarType wide(ComputeDevice device, torch.ScalarType type) {
    return device.isCuda() ? type : torch.ScalarType.Float;
  }

  /** LibTorch knows a triangle by itself. */
  private boolean needsNoMask(long keyCount) {
    return starts == null && window == 0 && keyCount == tokens && cap == 0;
  }

  private Attention kernel() {
    return new Attention(
        sequences,
        tokens,
        heads,
        headSize,
        null,
        new Attention.Causal(keyHeads, (float) scale, window, (float) cap, Torch.ints(starts)));
  }

  private Tensor first(Tensor cache, long count) {
    long columns = keyHeads * headSize;
    return cache
        .view(sequences, -1, columns)
        .narrow(1, 0, count)
        .reshape(sequences * count, columns);
  }

  private Tensor byLibTorch(Tensor q, Tensor k, Tensor v, long keyCount) {
    ComputeDevice device = ComputeDevice.of(q);
    Mask own =
        mask != null || needsNoMask(keyCount)
            ? mask
            : mask(device, wide(device, q.scalar_type().intern()), keyCount);
    boolean grouped = own == null && cap == 0 && sharesKeys(device, q.scalar_type().intern());
    return byLibTorch(q, k, v, keyCount, own, grouped);
  }

  /**
   * Whether LibTorch's attention reads a head of keys for each head of query that it serves, and
   * needs no copies: its flash attention does, which takes 16 bits and up to 256 elements a head,
   * on a GPU. Its others compute all scores at once where they are asked to.
   */
  private boolean sharesKeys(ComputeDevice device, torch.ScalarType type) {
    return device.isCuda()
        && type == torch.ScalarType.BFloat16
        && headSize <= MOST_FLASH
        && keyHeads < heads;
  }

  /**
   * @param own null: none is needed
   * @param grouped whether LibTorch is given each head of keys once
   */
  Tensor byLibTorch(Tensor q, Tensor k, Tensor v, long keyCount, Mask own, boolean grouped) {
    torch.ScalarType type = q.scalar_type().intern();
    torch.ScalarType wide = wide(ComputeDevice.of(q), type);
    long times = grouped ? 1 : heads / keyHeads;
    Tensor query = split(q, tokens, heads, 1).to(wide);
    Tensor key = split(k, keyCount, keyHeads, times).to(wide);
    Tensor value = split(v, keyCount, keyHeads, times).to(wide);
    Tensor context =
        cap == 0
            ? torch.scaled_dot_product_attention(
                query,
                key,
                value,
                own == null ? Torch.none() : new TensorOptional(own.bias),
                0.0,
                own == null,
                new DoubleOptional(scale),
                grouped)
            : capped(query, key).add(own.bias).softmax(-1).matmul(value);
    if (own != null && own.seeing != null) {
      context = context.mul(own.seeing);
    }
    return context.transpose(1, 2).reshape(q.size(0), heads * headSize).to(type);
  }

  /** [B, count · times, T, d], each head so many times. */
  private Tensor split(Tensor columns, long length, long count, long times) {
    Tensor split = columns.reshape(sequences, length, count, headSize).transpose(1, 2);
    return times == 1
        ? split
        : split
            .unsqueeze(2)
            .expand(sequences, count, times, length, headSize)
            .reshape(sequences, count * times, length, headSize);
  }

  private Tensor capped(Tensor query, Tensor key) {
    Tensor scores = query.matmul(key.transpose(-2, -1));
    return scores.mul(new Scalar(scale / cap)).tanh().mul(new Scalar(cap));
  }

  /** Which keys each query sees, [B or 1, 1, T, keys]. */
  private Tensor sees(ComputeDevice device, long keyCount) {
    Tensor key = Torch.range(device, keyCount);
    Tensor query = Torch.range(device, tokens).add(new Scalar(keyCount - tokens)).unsqueeze(1);
    Tensor sees = key.le(query);
    if (window > 0) {
      sees = sees.logical_and(key.gt(query.sub(new Scalar(window))));
    }
    sees = sees.unsqueeze(0);
    if (starts != null) {
      sees = sees.logical_and(key.ge(starts.view(sequences, tokens, 1)));
    }
    return sees.unsqueeze(1);
  }

  private Mask mask(ComputeDevice device, torch.ScalarType type, long keyCount) {
    Tensor sees = sees(device, keyCount);
    Tensor seeing = sees.any(-1, true);
    // A query that sees none sees all, so that its softmax is a number.
    Tensor bias = sees.logical_or(seeing.logical_not()).to(type).log();
    return new Mask(bias, starts == null ? null : seeing.to(type));
  }
}
