package org.prunepeft.model;

import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.LinearOp;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * A linear of the pre-trained model, y = x Wᵀ + b. Several projections of one input may be stacked
 * in it: its parts name them, each with its block of rows of W, which is its block of columns of y.
 *
 * @param frozen W [N,K] and b [N] or none
 * @param parts in the order of the rows; their rows add up to N
 */
public record FrozenLinear(FrozenWeight frozen, List<Part> parts) implements AutoCloseable {
  /**
   * One projection.
   *
   * @param layer 0-based
   * @param path its name in the model, as Hugging Face's checkpoints have it:
   *     encoder.layer.0.attention.self.query
   * @param firstRow where its rows begin
   * @param rows how many it has
   */
  public record Part(int layer, String path, long firstRow, long rows) {}

  /** Copies the list. */
  public FrozenLinear {
    parts = List.copyOf(parts);
  }

  /** {@return W [N,K], owned by the model; null: it is quantised} */
  public Tensor weight() {
    return frozen.weight();
  }

  /**
   * {@return W's rows of a part, [rows,K]; of a quantised W they are decoded}
   *
   * @param part one of {@link #parts}
   */
  public Tensor weight(Part part) {
    return frozen.rows(part.firstRow(), part.rows());
  }

  /** {@return b [N], owned by the model; null: none} */
  public Tensor bias() {
    return frozen.bias();
  }

  /** Its own weights, of which a frozen one may be left out. */
  Stream<Tensor> tensors() {
    return Stream.of(frozen.isTrained() ? weight() : null, bias()).filter(Objects::nonNull);
  }

  /**
   * Computes it, with what sits on it.
   *
   * @param insertions say what that is
   * @param x [M,K], dense
   * @param tokens whether the rows of x are tokens; else they are relative positions
   * @return [M,N]
   */
  Tensor apply(Insertions insertions, Tensor x, boolean tokens) {
    if (frozen.isQuantized() && insertions.tape() == null) {
      return insertions.afterLinear(this, x, decoded(x));
    }
    if (!frozen.isQuantized() && (insertions.tape() == null || frozen.isTrained())) {
      // Trained itself, and so LibTorch's.
      TensorOptional bias = bias() == null ? Torch.none() : new TensorOptional(bias());
      return insertions.afterLinear(this, x, torch.linear(x, weight(), bias));
    }
    Insertions.OnLinear own = insertions.on(this, tokens);
    Tensor y = LinearOp.apply(insertions.tape(), x, frozen, own.modules(), own.observer());
    return own.modules().isEmpty() && !insertions.seesEachLinear()
        ? y
        : insertions.afterLinear(this, x, y);
  }

  /** y of a quantised W alone, of which LibTorch has no product; without a backward pass. */
  private Tensor decoded(Tensor x) {
    if (x.requires_grad() && GradMode.is_enabled()) {
      throw new IllegalStateException(
          "a quantised linear has gradients by the kernels alone, got none: "
              + parts.get(0).path());
    }
    try (NoGradGuard guard = new NoGradGuard();
        Tape tape = new Tape()) {
      return LinearOp.apply(tape, x, frozen, List.of(), null);
    }
  }

  /** Refuses to train what is quantised. */
  void requireTrainable() {
    if (frozen.isQuantized()) {
      throw new UnsupportedOperationException(
          "%s is quantised and so cannot be trained itself; load the model with --quantize none"
              .formatted(parts.get(0).path()));
    }
  }

  /** An input in the weight's type: itself if it is so already. */
  Tensor cast(Tensor x) {
    return x.to(frozen.type());
  }

  /** Keeps what was made for the kernels, as far as it was, in place of the weight. */
  void keepPreparedAlone() {
    frozen.keepPreparedAlone();
  }

  /** Frees what was made for the kernels; the tensors stay. */
  @Override
  public void close() {
    frozen.close();
  }
}
