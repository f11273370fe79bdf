package org.prunepeft.kernels;

import java.util.List;

/**
 * A frozen linear with one LoRA module, y = x Wᵀ + s·D(x) Aᵀ Bᵀ, as one library product a
 * direction: W, A and B lie in one operand G = [[W, B], [A, 0]] of (N+r) x (K+r), S lies beside x
 * and dS beside dY, so that the rank only makes the product's inner dimension longer.
 *
 * <p>x and dY are therefore wide: [M, K+r] and [M, N+r], the caller's values in the first K or N
 * columns, the last r written here. G and the wide buffers are the caller's memory; float32 masters
 * of A and B are kept elsewhere and copied into {@link #a()} and {@link #b()} by {@link AdamW}.
 *
 * <p>Methods throw {@link IllegalArgumentException} if shapes or types disagree. On the CPU, where
 * trained weights are float32 in every call, G is float32.
 */
public final class BorderedLinear {
  private final MatrixProduct product;
  private final Matrix g;
  private final long outputs;
  private final long inputs;
  private final long rank;
  private final float scale;
  private final int module;

  /**
   * @param product by which all of it is computed
   * @param g G [N+r, K+r]
   * @param rank r, 1 or more
   * @param scale alpha / r
   * @param module names the dropout mask
   */
  public BorderedLinear(MatrixProduct product, Matrix g, long rank, float scale, int module) {
    if (rank < 1 || rank >= g.rows() || rank >= g.cols()) {
      throw new IllegalArgumentException(
          String.format(
              "rank must be at least 1 and less than both extents of G [%d, %d], got %d",
              g.rows(), g.cols(), rank));
    }
    this.product = product;
    this.g = g;
    this.rank = rank;
    this.scale = scale;
    this.module = module;
    outputs = g.rows() - rank;
    inputs = g.cols() - rank;
  }

  /** {@return W [N,K] within G} */
  public Matrix w() {
    return g.part(0, 0, outputs, inputs);
  }

  /** {@return A [r,K] within G} */
  public Matrix a() {
    return g.part(outputs, 0, rank, inputs);
  }

  /** {@return B [N,r] within G} */
  public Matrix b() {
    return g.part(0, inputs, outputs, rank);
  }

  /**
   * y = x Wᵀ + S Bᵀ with S = s·D(x) Aᵀ.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x [M, K+r]: x in the first K columns; S is written to the last r, for the backward pass
   * @param dropout null: none
   * @param y [M,N], written
   * @param workspace scratch memory, not for two calls at once
   */
  public void forward(Device device, Matrix x, Dropout dropout, Matrix y, Workspace workspace) {
    x.require("x", g.dtype(), x.rows(), inputs + rank);
    y.require("y", g.dtype(), x.rows(), outputs);
    LoraBranch branch = new LoraBranch(a(), scale, module, border(x, inputs), null);
    LoraKernels.down(device, inner(x, inputs), List.of(branch), dropout, null, workspace);
    product.multiply(device, x, g.part(0, 0, outputs, inputs + rank), true, y);
  }

  /**
   * dX = dY W + Dᵀ(dS A), dA = dSᵀ D(x), dB = dYᵀ S, with dS = s·dY B. Under dropout dX's second
   * part is a pass of its own, since its mask would fall on dY W too.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x as {@link #forward} left it
   * @param dy [M, N+r]: dY in the first N columns; dS is written to the last r
   * @param dropout that of {@link #forward}
   * @param dx [M,K], written
   * @param da [r,K], float32, written or added to
   * @param db [N,r], float32, written or added to
   * @param accumulate whether gradients are added to what is there; else they replace it
   * @param workspace scratch memory, not for two calls at once
   */
  public void backward(
      Device device,
      Matrix x,
      Matrix dy,
      Dropout dropout,
      Matrix dx,
      Matrix da,
      Matrix db,
      boolean accumulate,
      Workspace workspace) {
    x.require("x", g.dtype(), x.rows(), inputs + rank);
    dy.require("dy", g.dtype(), x.rows(), outputs + rank);
    dx.require("dx", g.dtype(), x.rows(), inputs);
    Matrix ds = border(dy, outputs);
    LoraBranch branch = new LoraBranch(a(), scale, module, ds, da);
    LoraKernels.gradUp(
        device, inner(dy, outputs), b(), border(x, inputs), scale, ds, db, accumulate, workspace);
    if (dropout == null || dropout.p() == 0) {
      product.multiply(device, dy, g.part(0, 0, outputs + rank, inputs), false, dx);
    } else {
      product.multiply(device, inner(dy, outputs), w(), false, dx);
      LoraKernels.gradInput(device, List.of(branch), dropout, dx, workspace);
    }
    LoraKernels.gradDown(device, inner(x, inputs), List.of(branch), dropout, accumulate, workspace);
  }

  private static Matrix inner(Matrix wide, long columns) {
    return wide.part(0, 0, wide.rows(), columns);
  }

  private Matrix border(Matrix wide, long columns) {
    return wide.part(0, columns, wide.rows(), rank);
  }
}
