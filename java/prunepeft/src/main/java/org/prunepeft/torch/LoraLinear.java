package org.prunepeft.torch;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LinearBranch;
import org.prunepeft.kernels.LoraBranch;
import org.prunepeft.kernels.LoraKernels;
import org.prunepeft.kernels.LoraPath;
import org.prunepeft.kernels.Matrix;

/**
 * A frozen linear, with LoRA modules on it or without, y = x Wᵀ + b + Σ s·D(x) Aᵀ Bᵀ, as one
 * operation of the autograd graph. The product with W is our own or, on a GPU where that should be
 * faster, LibTorch's with our kernels around it ({@link LoraPath}). Several modules may share the
 * input, each adding to its own columns of y. W may be float32 or bfloat16; A, B and their
 * gradients are float32.
 */
public final class LoraLinear {
  private static final Set<LoraPath> POSSIBLE = EnumSet.of(LoraPath.SPLIT, LoraPath.FUSED);

  private LoraLinear() {}

  /**
   * A LoRA module.
   *
   * @param a A [r,K]
   * @param b B [n,r]
   * @param scale alpha / r
   * @param module names its dropout mask
   * @param firstColumn where its n columns of y begin
   */
  public record Branch(Tensor a, Tensor b, float scale, int module, long firstColumn) {
    Branch staged(Tape tape, torch.ScalarType type) {
      return new Branch(tape.staged(a, type), tape.staged(b, type), scale, module, firstColumn);
    }
  }

  /** Sees S [M,r] of each branch after the forward pass; the module's output is S Bᵀ. */
  @FunctionalInterface
  public interface Observer {
    /**
     * A branch's output is s Bᵀ.
     *
     * @param branch its index among those of the call
     * @param s [M,r], scaled; good until the call returns
     * @param b B [N,r]
     */
    void forward(int branch, Matrix s, Matrix b);
  }

  /**
   * @param tape keeps the operation until the backward pass
   * @param x [M,K], dense, of W's type
   * @param linear W [N,K] and b
   * @param branches may be empty
   * @param dropout null: none (evaluation)
   * @param observer null: none
   * @return y [M,N], of W's type
   */
  public static Tensor apply(
      Tape tape,
      Tensor x,
      FrozenWeight linear,
      List<Branch> branches,
      Dropout dropout,
      Observer observer) {
    LoraPath.Both paths = paths(x, linear, ranks(branches), dropout != null && dropout.p() > 0);
    return apply(paths, tape, x, linear, branches, dropout, observer);
  }

  /** The paths that suit, none of them bordered. */
  static LoraPath.Both paths(Tensor x, FrozenWeight linear, long ranks, boolean dropout) {
    return LoraPath.choose(
        ComputeDevice.of(x).kernels(),
        Torch.matrix(linear.weight()).dtype(),
        x.size(0),
        x.size(1),
        linear.weight().size(0),
        ranks,
        dropout,
        POSSIBLE);
  }

  /** By given paths, none of them bordered: x and y are no wide buffers. */
  static Tensor apply(
      LoraPath.Both paths,
      Tape tape,
      Tensor x,
      FrozenWeight linear,
      List<Branch> branches,
      Dropout dropout,
      Observer observer) {
    long rows = x.size(0);
    Tensor y;
    Tensor s;
    Tensor input = x.detach();
    ComputeDevice place = ComputeDevice.of(input);
    torch.ScalarType type = input.scalar_type().intern();
    List<Branch> staged = new ArrayList<>();
    try (NoGradGuard guard = new NoGradGuard()) {
      branches.forEach(branch -> staged.add(branch.staged(tape, type)));
      s = place.emptyMatrix(rows, ranks(branches), place.stagedType(type));
      List<LinearBranch> table = new ArrayList<>();
      forEachColumnBlock(
          staged, (i, column, rank) -> table.add(branch(staged.get(i), s, column, rank)));
      if (paths.forward() == LoraPath.SPLIT) {
        y = split(tape, place.kernels(), input, linear, table, dropout);
      } else {
        y = fused(tape, input, linear, table, dropout);
      }
      for (int i = 0; i < table.size() && observer != null; i++) {
        observer.forward(i, table.get(i).s(), table.get(i).b());
      }
    }
    List<Tensor> inputs = new ArrayList<>(List.of(x));
    for (Branch branch : branches) {
      inputs.add(branch.a);
      inputs.add(branch.b);
    }
    List<Tensor> saved = new ArrayList<>();
    if (!branches.isEmpty()) {
      saved.addAll(inputs);
      saved.add(s);
    }
    boolean needsInput = x.requires_grad();
    return tape.record(
        y,
        inputs,
        saved,
        gradient ->
            backward(
                paths.backward(),
                tape,
                gradient.contiguous(),
                input,
                linear,
                s,
                staged,
                dropout,
                needsInput));
  }

  /** x Wᵀ + b, without recording. */
  static Tensor product(LoraPath path, Tape tape, Tensor x, FrozenWeight linear) {
    return path == LoraPath.FUSED ? fused(tape, x, linear, List.of(), null) : byLibrary(x, linear);
  }

  /** dY W, without recording. */
  static Tensor productOfGradient(LoraPath path, Tape tape, Tensor dy, FrozenWeight linear) {
    return path == LoraPath.FUSED
        ? fusedGradient(tape, dy, linear, List.of(), null)
        : dy.matmul(linear.weight().detach());
  }

  /** Our own product, with the modules' in it. */
  private static Tensor fused(
      Tape tape, Tensor x, FrozenWeight linear, List<LinearBranch> branches, Dropout dropout) {
    ComputeDevice place = ComputeDevice.of(x);
    Tensor y = place.emptyMatrix(x.size(0), linear.weight().size(0), x.scalar_type().intern());
    linear
        .prepared()
        .forward(
            place.kernels(), Torch.matrix(x), branches, dropout, Torch.matrix(y), tape.workspace());
    return y;
  }

  /** Our own product, with the modules' in it. */
  private static Tensor fusedGradient(
      Tape tape, Tensor dy, FrozenWeight linear, List<LinearBranch> branches, Dropout dropout) {
    ComputeDevice place = ComputeDevice.of(dy);
    Tensor dx = place.emptyMatrix(dy.size(0), linear.weight().size(1), dy.scalar_type().intern());
    linear
        .prepared()
        .gradInput(
            place.kernels(),
            Torch.matrix(dy),
            branches,
            dropout,
            Torch.matrix(dx),
            tape.workspace());
    return dx;
  }

  private static Tensor byLibrary(Tensor x, FrozenWeight linear) {
    return torch.linear(
        x,
        linear.weight().detach(),
        linear.bias() == null ? Torch.none() : new TensorOptional(linear.bias().detach()));
  }

  /** LibTorch's product, and the modules' around it. */
  private static Tensor split(
      Tape tape,
      Device device,
      Tensor x,
      FrozenWeight linear,
      List<LinearBranch> branches,
      Dropout dropout) {
    Tensor y = byLibrary(x, linear);
    if (!branches.isEmpty()) {
      List<LoraBranch> down = new ArrayList<>();
      branches.forEach(b -> down.add(new LoraBranch(b.a(), b.scale(), b.module(), b.s(), null)));
      LoraKernels.down(device, Torch.matrix(x), down, dropout, null, tape.workspace());
      for (LinearBranch branch : branches) {
        Matrix part = columns(y, branch.firstColumn(), branch.b().rows());
        LoraKernels.up(device, branch.s(), branch.b(), part, tape.workspace());
      }
    }
    return y;
  }

  private static Tensor[] backward(
      LoraPath path,
      Tape tape,
      Tensor dy,
      Tensor x,
      FrozenWeight linear,
      Tensor s,
      List<Branch> branches,
      Dropout dropout,
      boolean needsInput) {
    Tensor[] gradients = new Tensor[1 + 2 * branches.size()];
    ComputeDevice place = ComputeDevice.of(x);
    Device device = place.kernels();
    Tensor ds = place.emptyMatrix(x.size(0), s.size(1), s.scalar_type().intern());
    List<LoraBranch> down = new ArrayList<>();
    List<LinearBranch> table = new ArrayList<>();
    forEachColumnBlock(
        branches,
        (i, column, rank) -> {
          Branch branch = branches.get(i);
          Matrix b = Torch.matrix(branch.b);
          Tensor da = place.emptyMatrix(rank, x.size(1));
          Tensor db = place.emptyMatrix(b.rows(), rank);
          Matrix dsOfBranch = columns(ds, column, rank);
          LoraKernels.gradUp(
              device,
              columns(dy, branch.firstColumn, b.rows()),
              b,
              columns(s, column, rank),
              branch.scale,
              dsOfBranch,
              Torch.matrix(db),
              false,
              tape.workspace());
          down.add(
              new LoraBranch(
                  Torch.matrix(branch.a),
                  branch.scale,
                  branch.module,
                  dsOfBranch,
                  Torch.matrix(da)));
          table.add(branch(branch, ds, column, rank));
          gradients[1 + 2 * i] = da;
          gradients[2 + 2 * i] = db;
        });
    if (!down.isEmpty()) {
      LoraKernels.gradDown(device, Torch.matrix(x), down, dropout, false, tape.workspace());
    }
    if (needsInput && path == LoraPath.SPLIT) {
      Tensor dx = dy.matmul(linear.weight().detach());
      if (!down.isEmpty()) {
        LoraKernels.gradInput(device, down, dropout, Torch.matrix(dx), tape.workspace());
      }
      gradients[0] = dx;
    } else if (needsInput) {
      gradients[0] = fusedGradient(tape, dy, linear, table, dropout);
    }
    return gradients;
  }

  private static LinearBranch branch(Branch branch, Tensor s, long column, long rank) {
    return new LinearBranch(
        Torch.matrix(branch.a),
        Torch.matrix(branch.b),
        branch.scale,
        branch.module,
        branch.firstColumn,
        columns(s, column, rank));
  }

  private static long ranks(List<Branch> branches) {
    return branches.stream().mapToLong(b -> b.a.size(0)).sum();
  }

  @FunctionalInterface
  private interface ColumnBlock {
    void accept(int branch, long firstColumn, long rank);
  }

  /** Walks the branches' blocks of columns in S. */
  private static void forEachColumnBlock(List<Branch> branches, ColumnBlock block) {
    long column = 0;
    for (int i = 0; i < branches.size(); i++) {
      long rank = branches.get(i).a.size(0);
      block.accept(i, column, rank);
      column += rank;
    }
  }

  /** Some columns of a dense matrix, without the cost of a view. */
  static Matrix columns(Tensor tensor, long first, long count) {
    Matrix whole = Torch.matrix(tensor);
    BytePointer start = new BytePointer(whole.data()).position(first * whole.dtype().bytes());
    return new Matrix(start, whole.dtype(), whole.rows(), count, whole.ld());
  }
}
