package org.prunepeft.torch;

import java.util.List;
import java.util.stream.LongStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Context;

/**
 * Cross-entropy of next tokens by an output layer, z = cap·tanh(h Wᵀ / cap) where there is a cap.
 * Only rows with a label are multiplied, and logits are there for some rows at a time: with the
 * loss of a chunk its gradient is computed, softmax(z) less what is right, times W. So memory is
 * that of one chunk's logits and of a gradient as large as the labelled rows; where W is trained,
 * of one as large as W too. By our kernels on a CPU, by LibTorch on a GPU.
 */
public final class TokenLoss {
  /** The label of a row that does not count. */
  public static final long NO_LABEL = -100;

  /** Bytes of the logits that are there at once, by our kernels. */
  public static final long KERNEL_LOGITS = 96 << 20;

  /** The same by LibTorch on a GPU, where few rows leave much of it without work. */
  private static final long GPU_LOGITS = 512 << 20;

  /** Fewer come there only where fewer have a label, whatever the vocabulary. */
  private static final long LEAST_GPU_ROWS = 1024;

  /** By LibTorch elsewhere. */
  private static final long LIBTORCH_LOGITS = 32 << 20;

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
    this(
        weight,
        cap,
        byKernels(weight)
            ? Math.max(1, KERNEL_LOGITS / (weight.size(0) * weight.element_size()))
            : libTorchRows(ComputeDevice.of(weight).isCuda(), weight.size(0)));
  }

  /** Rows at a time by LibTorch, whose logits are float32. */
  static long libTorchRows(boolean gpu, long vocabulary) {
    return gpu
        ? Math.max(LEAST_GPU_ROWS, GPU_LOGITS / (vocabulary * Float.BYTES))
        : Math.max(1, LIBTORCH_LOGITS / (vocabulary * Float.BYTES));
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
   * {@return which rows have a label, and these labels, [2, n] int64} They are found on the host,
   * so that nobody waits for the device.
   *
   * @param device where the rows lie
   * @param labels of each row, a token's id or {@link #NO_LABEL}
   */
  public static Tensor labelled(ComputeDevice device, long... labels) {
    int count = (int) LongStream.of(labels).filter(label -> label != NO_LABEL).count();
    if (count == 0) {
      return torch.zeros(new long[] {2, 0}, device.options(torch.ScalarType.Long));
    }
    long[] rows = new long[2 * count];
    int next = 0;
    for (int row = 0; row < labels.length; row++) {
      if (labels[row] != NO_LABEL) {
        rows[next] = row;
        rows[count + next++] = labels[row];
      }
    }
    return device.longs(rows, 2, count);
  }

  private static boolean byKernels(Tensor weight) {
    return !ComputeDevice.of(weight).kernels().isCuda();
  }

  /**
   * {@return the mean over the rows with a label, [] float32; 0 if there is none}
   *
   * @param tape keeps the operation until the backward pass
   * @param hidden h [rows, hidden], of W's type
   * @param labelled [2, n] int64 of {@link #labelled}
   * @param smoothing share of each label that is spread evenly over the vocabulary, in [0, 1)
   */
  public Tensor mean(Tape tape, Tensor hidden, Tensor labelled, double smoothing) {
    Tensor rows = labelled.select(0, 0);
    Tensor labels = labelled.select(0, 1);
    long count = rows.numel();
    if (count == 0) {
      return hidden.sum().to(torch.ScalarType.Float).mul(new Scalar(0.0));
    }
    ComputeDevice place = ComputeDevice.of(hidden);
    Tensor loss;
    Tensor gradient;
    Tensor ofWeight;
    try (NoGradGuard guard = new NoGradGuard();
        RowLosses losses = losses(tape.context(place.kernels()), count)) {
      Tensor taken = hidden.detach().index_select(0, rows);
      gradient = hidden.requires_grad() ? torch.empty_like(taken) : null;
      ofWeight = weight.requires_grad() ? torch.zeros_like(weight) : null;
      Tensor sum = torch.zeros(new long[0], place.options(torch.ScalarType.Float));
      for (long from = 0; from < count; from += chunk) {
        long size = Math.min(chunk, count - from);
        try (PointerScope temporary = new PointerScope()) {
          RowLosses.Gradients wanted =
              new RowLosses.Gradients(
                  gradient == null ? null : gradient.narrow(0, from, size), ofWeight);
          sum.add_(
              losses
                  .of(taken.narrow(0, from, size), labels.narrow(0, from, size), smoothing, wanted)
                  .sum());
        }
      }
      taken.close();
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

  /** For chunks of so many rows in all. */
  private RowLosses losses(Context context, long count) {
    return byKernels(weight)
        ? new KernelRowLosses(context, weight, cap, Math.min(chunk, count))
        : new LibTorchRowLosses(weight, cap);
  }

  /**
   * {@return the logarithm of each label's probability, [rows] float32, 0 where there is none;
   * without a gradient}
   *
   * @param hidden h [rows, hidden], of W's type
   * @param labelled [2, n] int64 of {@link #labelled}
   */
  public Tensor logLikelihoods(Tensor hidden, Tensor labelled) {
    ComputeDevice place = ComputeDevice.of(hidden);
    Tensor rows = labelled.select(0, 0);
    Tensor labels = labelled.select(0, 1);
    long count = rows.numel();
    try (NoGradGuard guard = new NoGradGuard();
        Context context = new Context(place.kernels());
        RowLosses losses = losses(context, count)) {
      Tensor all = torch.zeros(new long[] {hidden.size(0)}, place.options(torch.ScalarType.Float));
      for (long from = 0; from < count; from += chunk) {
        try (PointerScope temporary = new PointerScope()) {
          long size = Math.min(chunk, count - from);
          Tensor own = rows.narrow(0, from, size);
          Tensor some =
              losses.of(
                  hidden.detach().index_select(0, own),
                  labels.narrow(0, from, size),
                  0,
                  RowLosses.Gradients.NONE);
          all.index_copy_(0, own, some.squeeze(1).neg());
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
      return LibTorchRowLosses.logits(hidden, weight.detach(), cap);
    }
  }
}
