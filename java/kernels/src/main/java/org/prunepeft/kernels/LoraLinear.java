package org.prunepeft.kernels;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A frozen linear with one LoRA module, y = x Wᵀ + s·D(x) Aᵀ Bᵀ, on plain buffers, by the path that
 * suits shape and device: see {@link LoraPath}.
 *
 * <p>W, A and B lie in one operand G = [[W, B], [A, 0]] of (N+r) x (K+r). x and dY are wide: [M,
 * K+r] and [M, N+r], the caller's values in the first K or N columns; S and dS are written to the
 * last r, whatever the path. So the rank can make a library's product longer in its inner dimension
 * (the bordered path), and the other paths find their operands in the same memory. G and the wide
 * buffers are the caller's; float32 masters of A and B are kept elsewhere and copied into {@link
 * #a()} and {@link #b()} by {@link AdamW}. W never changes once a method has been called.
 *
 * <p>A call for M = 0 reads and writes nothing: gradients stay as they are, even where they would
 * be replaced. Methods throw {@link IllegalArgumentException} if shapes or types disagree, and
 * {@link KernelException} if a native call fails. On the CPU, where trained weights are float32 in
 * every call, G is float32. Not for two threads at once.
 */
public final class LoraLinear implements AutoCloseable {
  private final MatrixProduct product;
  private final Matrix g;
  private final long outputs;
  private final long inputs;
  private final long rank;
  private final float scale;
  private final int module;
  private final Set<LoraPath> possible;

  /** W as our own product reads it; made when the fused path is first taken. */
  private Linear own;

  /**
   * @param product a library's, which stays the caller's; null: there is none, and the path is
   *     always {@link LoraPath#FUSED}
   * @param g G [N+r, K+r]; must outlive this object
   * @param rank r, 1 or more
   * @param scale alpha / r
   * @param module names the dropout mask
   */
  public LoraLinear(MatrixProduct product, Matrix g, long rank, float scale, int module) {
    if (rank < 1 || rank >= g.rows() || rank >= g.cols()) {
      throw new IllegalArgumentException(
          String.format(
              "rank must be at least 1 and less than both extents of G [%d, %d], got %d",
              g.rows(), g.cols(), rank));
    }
    this.product = product;
    possible = product == null ? EnumSet.of(LoraPath.FUSED) : EnumSet.allOf(LoraPath.class);
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
   * The paths that the calls without one take.
   *
   * @param device where the matrices lie
   * @param rows M, 0 or more
   * @param dropout null: none
   * @return a path for each direction
   */
  public LoraPath.Both paths(Device device, long rows, Dropout dropout) {
    return LoraPath.choose(
        device, g.dtype(), rows, inputs, outputs, rank, drops(dropout), possible);
  }

  /**
   * By the path that suits; see the other method.
   *
   * @param device where the matrices lie
   * @param x [M, K+r]: x in the first K columns; S is written to the last r
   * @param dropout null: none
   * @param y [M,N], written
   * @param workspace grows to what the path needs
   */
  public void forward(Device device, Matrix x, Dropout dropout, Matrix y, Workspace workspace) {
    forward(paths(device, x.rows(), dropout).forward(), device, x, dropout, y, workspace);
  }

  /**
   * y = x Wᵀ + S Bᵀ with S = s·D(x) Aᵀ.
   *
   * @param path any
   * @param device where the matrices lie
   * @param x [M, K+r]: x in the first K columns; S is written to the last r, for the backward pass
   * @param dropout null: none
   * @param y [M,N], written
   * @param workspace grows to what the path needs
   */
  public void forward(
      LoraPath path, Device device, Matrix x, Dropout dropout, Matrix y, Workspace workspace) {
    x.require("x", g.dtype(), x.rows(), inputs + rank);
    y.require("y", g.dtype(), x.rows(), outputs);
    Matrix s = border(x, inputs);
    if (path == LoraPath.FUSED) {
      LinearBranch branch = new LinearBranch(a(), b(), scale, module, 0, s);
      own(device).forward(device, inner(x, inputs), List.of(branch), dropout, y, workspace);
      return;
    }
    LoraBranch branch = new LoraBranch(a(), scale, module, s, null);
    LoraKernels.down(device, inner(x, inputs), List.of(branch), dropout, null, workspace);
    if (path == LoraPath.BORDERED) {
      product(path).multiply(device, x, g.part(0, 0, outputs, inputs + rank), true, y, workspace);
    } else {
      product(path).multiply(device, inner(x, inputs), w(), true, y, workspace);
      LoraKernels.up(device, s, b(), y, workspace);
    }
  }

  /**
   * By the path that suits; see the other method.
   *
   * @param device where the matrices lie
   * @param x as {@link #forward} left it, by any path
   * @param dy [M, N+r]: dY in the first N columns; dS is written to the last r
   * @param dropout that of {@link #forward}
   * @param dx [M,K], written
   * @param da [r,K], float32, written or added to
   * @param db [N,r], float32, written or added to
   * @param accumulate whether da and db are added to
   * @param workspace grows to what the path needs
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
    LoraPath path = paths(device, x.rows(), dropout).backward();
    backward(path, device, x, dy, dropout, dx, da, db, accumulate, workspace);
  }

  /**
   * dX = dY W + Dᵀ(dS A), dA = dSᵀ D(x), dB = dYᵀ S, with dS = s·dY B.
   *
   * @param path under dropout not {@link LoraPath#BORDERED}: the mask lies on dS A alone
   * @param device where the matrices lie
   * @param x as {@link #forward} left it, by any path
   * @param dy [M, N+r]: dY in the first N columns; dS is written to the last r
   * @param dropout that of {@link #forward}
   * @param dx [M,K], written
   * @param da [r,K], float32, written or added to
   * @param db [N,r], float32, written or added to
   * @param accumulate whether da and db are added to
   * @param workspace grows to what the path needs
   */
  public void backward(
      LoraPath path,
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
    if (path == LoraPath.BORDERED && drops(dropout)) {
      throw new IllegalArgumentException(
          "the bordered backward pass has no dropout, got p = "
              + dropout.p()
              + "; take SPLIT or FUSED");
    }
    Matrix gradient = inner(dy, outputs);
    Matrix s = border(x, inputs);
    Matrix ds = border(dy, outputs);
    List<LoraBranch> branches = List.of(new LoraBranch(a(), scale, module, ds, da));
    LoraKernels.gradUp(device, gradient, b(), s, scale, ds, db, accumulate, workspace);
    switch (path) {
      case SPLIT -> {
        product(path).multiply(device, gradient, w(), false, dx, workspace);
        LoraKernels.gradInput(device, branches, dropout, dx, workspace);
      }
      case BORDERED ->
          product(path)
              .multiply(device, dy, g.part(0, 0, outputs + rank, inputs), false, dx, workspace);
      case FUSED -> {
        LinearBranch branch = new LinearBranch(a(), null, scale, module, 0, ds);
        own(device).gradInput(device, gradient, List.of(branch), dropout, dx, workspace);
      }
    }
    LoraKernels.gradDown(device, inner(x, inputs), branches, dropout, accumulate, workspace);
  }

  private static boolean drops(Dropout dropout) {
    return dropout != null && dropout.p() > 0;
  }

  private Linear own(Device device) {
    if (own == null) {
      own = new Linear(device, w(), null);
    }
    return own;
  }

  private MatrixProduct product(LoraPath path) {
    if (product == null) {
      throw new IllegalArgumentException(
          "the path " + path + " needs a library's product, and there is none; take FUSED");
    }
    return product;
  }

  private static Matrix inner(Matrix wide, long columns) {
    return wide.part(0, 0, wide.rows(), columns);
  }

  private Matrix border(Matrix wide, long columns) {
    return wide.part(0, columns, wide.rows(), rank);
  }

  /** Frees what the fused path has made of W. */
  @Override
  public void close() {
    if (own != null) {
      own.close();
      own = null;
    }
  }
}
