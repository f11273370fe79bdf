package org.prunepeft.torch;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Cross-entropy of next tokens by an output layer, z = cap·tanh(h Wᵀ / cap) where there is a cap.
 * Only rows with a label are multiplied, and logits are there for some rows at a time: with the
 * loss of a chunk its gradient is computed, softmax(z) less what is right, times W. So memory is
 * that of one chunk's logits and of a gradient as large as the labelled rows; where W is trained,
 * of one as large as W too.
 */
public final class TokenLoss {
  /** The label of a row that does not count. */
  public static final long NO_LABEL = -100;

  /** Logits of a chunk, 32 MiB in float32. */
  private static final long CHUNK = 1 << 23;

  private final Tensor weight;
  private final double cap;
  private final long chunk;

  /**
   * By the default chunk.
   *
   * @param weight W [vocabulary, hidden], float32 or bfloat16; stays the caller's. It gets a
   *     gradient if it requires one
   * @param cap of logits; 0: none
   */
  public TokenLoss(Tensor weight, double cap) {
    this(weight, cap, Math.max(1, CHUNK / weight.size(0)));
  }

  /**
   * @param chunk rows at a time
   */
  TokenLoss(Tensor weight, double cap, long chunk) {
    this.weight = weight;
    this.cap = cap;
    this.chunk = chunk;
  }

  /**
   * {@return the mean over the rows with a label, [] float32; 0 if there is none}
   *
   * @param tape keeps the operation until the backward pass
   * @param hidden h [rows, hidden], of W's type
   * @param labels [rows] int64, each a token's id or {@link #NO_LABEL}
   * @param smoothing share of each label that is spread evenly over the vocabulary, in [0, 1)
   */
  public Tensor mean(Tape tape, Tensor hidden, Tensor labels, double smoothing) {
    Tensor rows = labelled(labels);
    long count = rows.numel();
    if (count == 0) {
      return hidden.sum().to(torch.ScalarType.Float).mul(new Scalar(0.0));
    }
    Tensor loss;
    Tensor gradient;
    Tensor ofWeight;
    try (NoGradGuard guard = new NoGradGuard()) {
      Tensor taken = hidden.detach().index_select(0, rows);
      Tensor right = labels.index_select(0, rows);
      gradient = hidden.requires_grad() ? torch.empty_like(taken) : null;
      ofWeight = weight.requires_grad() ? torch.zeros_like(weight) : null;
      Tensor sum =
          torch.zeros(new long[0], ComputeDevice.of(hidden).options(torch.ScalarType.Float));
      for (long from = 0; from < count; from += chunk) {
        long size = Math.min(chunk, count - from);
        try (PointerScope temporary = new PointerScope()) {
          Tensor some = taken.narrow(0, from, size);
          Chunk own = new Chunk(some, right.narrow(0, from, size));
          sum.sub_(own.logLikelihoods(smoothing).sum());
          if (gradient != null || ofWeight != null) {
            Tensor d = own.gradient(smoothing);
            if (gradient != null) {
              gradient.narrow(0, from, size).copy_(d.matmul(weight.detach()));
            }
            if (ofWeight != null) {
              ofWeight.addmm_(d.t(), some);
            }
          }
        }
      }
      loss = sum.div(new Scalar((double) count));
    }
    return tape.record(
        loss,
        List.of(hidden, weight),
        List.of(),
        incoming -> {
          Tensor factor = incoming.div(new Scalar((double) count));
          Tensor all = null;
          if (gradient != null) {
            all = torch.zeros_like(hidden);
            all.index_copy_(0, rows, gradient.mul(factor).to(hidden.scalar_type()));
          }
          return new Tensor[] {
            all, ofWeight == null ? null : ofWeight.mul(factor).to(weight.scalar_type())
          };
        });
  }

  /**
   * {@return the logarithm of each label's probability, [rows] float32, 0 where there is none;
   * without a gradient}
   *
   * @param hidden h [rows, hidden], of W's type
   * @param labels [rows] int64
   */
  public Tensor logLikelihoods(Tensor hidden, Tensor labels) {
    try (NoGradGuard guard = new NoGradGuard()) {
      Tensor rows = labelled(labels);
      long count = rows.numel();
      Tensor all =
          torch.zeros(
              new long[] {labels.numel()},
              ComputeDevice.of(hidden).options(torch.ScalarType.Float));
      for (long from = 0; from < count; from += chunk) {
        try (PointerScope temporary = new PointerScope()) {
          Tensor own = rows.narrow(0, from, Math.min(chunk, count - from));
          Chunk some = new Chunk(hidden.index_select(0, own), labels.index_select(0, own));
          all.index_copy_(0, own, some.logLikelihoods(0));
        }
      }
      return all;
    }
  }

  /**
   * {@return logits [rows, vocabulary] float32, without a gradient}
   *
   * @param hidden h [rows, hidden], of W's type; few rows
   */
  public Tensor logits(Tensor hidden) {
    try (NoGradGuard guard = new NoGradGuard()) {
      Tensor z = torch.linear(hidden, weight.detach()).to(torch.ScalarType.Float);
      return cap == 0 ? z : z.div(new Scalar(cap)).tanh().mul(new Scalar(cap));
    }
  }

  private static Tensor labelled(Tensor labels) {
    return labels.ne(new Scalar(NO_LABEL)).nonzero().squeeze(1);
  }

  /** Some rows, all labelled. */
  private final class Chunk {
    private final Tensor z;
    private final Tensor normaliser;

    /** [rows, 1] */
    private final Tensor right;

    Chunk(Tensor hidden, Tensor labels) {
      z = logits(hidden);
      normaliser = z.logsumexp(1).unsqueeze(1);
      right = labels.unsqueeze(1);
    }

    /** [rows] */
    Tensor logLikelihoods(double smoothing) {
      Tensor ofRight = z.gather(1, right).sub(normaliser);
      if (smoothing == 0) {
        return ofRight.squeeze(1);
      }
      Tensor mean = z.mean(1).unsqueeze(1).sub(normaliser);
      return ofRight.mul(new Scalar(1 - smoothing)).add(mean.mul(new Scalar(smoothing))).squeeze(1);
    }

    /** Of the summed loss by h Wᵀ, [rows, vocabulary] of W's type. */
    Tensor gradient(double smoothing) {
      Tensor d = z.sub(normaliser).exp();
      if (smoothing > 0) {
        d.sub_(new Scalar(smoothing / z.size(1)));
      }
      d.scatter_add_(1, right, torch.full_like(z.narrow(1, 0, 1), new Scalar(smoothing - 1)));
      if (cap > 0) {
        Tensor tanh = z.div(new Scalar(cap));
        d.mul_(tanh.mul(tanh).neg().add(new Scalar(1.0)));
      }
      return d.to(weight.scalar_type());
    }
  }
}
