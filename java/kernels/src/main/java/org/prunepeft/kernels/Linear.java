package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_linear_create;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_linear_destroy;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_linear_forward;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_linear_forward_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_linear_grad_input;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_linear_grad_input_workspace;

import java.lang.ref.Cleaner;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.binding.LinearBranchStruct;
import org.prunepeft.kernels.binding.LinearHandle;

/**
 * A frozen linear with LoRA modules on it, y = x Wᵀ + b + Σ s·D(x) Aᵀ Bᵀ, prepared once: forward
 * and the gradient by x are one call each. On the CPU, W and b are copied and may be freed; on CUDA
 * they must outlive this object. Immutable, and good for several threads at once.
 *
 * <p>x, y and their gradients are of the weight's type: float32 or bfloat16 on the CPU. A, B and S
 * are of {@link Device#trainedType}.
 *
 * <p>Methods throw {@link IllegalArgumentException} if shapes or types disagree, {@link
 * KernelException} if the native call fails, {@link IllegalStateException} after {@link #close()}.
 */
public final class Linear implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final DType dtype;
  private final long rows;
  private final long cols;
  private final Native handle;
  private final Cleaner.Cleanable cleanable;

  /** Frees the native side once, by close() or else when this object was forgotten. */
  private static final class Native implements Runnable {
    private LinearHandle pointer;

    @Override
    public synchronized void run() {
      if (pointer != null) {
        pp_linear_destroy(pointer);
        pointer.releaseReference();
        pointer = null;
      }
    }

    synchronized LinearHandle open() {
      if (pointer == null) {
        throw new IllegalStateException("this Linear is closed");
      }
      return pointer;
    }
  }

  /**
   * @param device whose kernels compute; what it reads and writes lies there
   * @param weight W [N,K]
   * @param bias b [N]; null: none
   * @throws KernelException if memory is short or the device cannot do it
   */
  public Linear(Device device, Matrix weight, Matrix bias) {
    if (bias != null) {
      bias.require("bias", weight.dtype(), 1, weight.rows());
    }
    dtype = weight.dtype();
    rows = weight.rows();
    cols = weight.cols();
    handle = new Native();
    try (PointerScope scope = new PointerScope()) {
      LinearHandle created = new LinearHandle((Pointer) null);
      check(
          pp_linear_create(
              device.struct(),
              dtype.ordinal(),
              rows,
              cols,
              weight.data(),
              weight.ld(),
              bias == null ? null : bias.data(),
              created));
      created.retainReference();
      handle.pointer = created;
    }
    cleanable = CLEANER.register(this, handle);
  }

  /** {@return N} */
  public long rows() {
    return rows;
  }

  /** {@return K} */
  public long cols() {
    return cols;
  }

  /**
   * y = x Wᵀ + b + Σ S Bᵀ, S = s·D(x) Aᵀ.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x [M,K]
   * @param branches at most 16, may be empty; each S [M,r] is written
   * @param dropout null: none
   * @param y [M,N], written
   * @param workspace scratch memory, not for two calls at once
   */
  public void forward(
      Device device,
      Matrix x,
      List<LinearBranch> branches,
      Dropout dropout,
      Matrix y,
      Workspace workspace) {
    x.require("x", dtype, x.rows(), cols);
    y.require("y", dtype, x.rows(), rows);
    for (LinearBranch branch : branches) {
      require(device, branch, x.rows());
      Matrix b = Matrix.given("b", branch.b());
      b.require("b", device.trainedType(dtype), b.rows(), branch.a().rows());
    }
    try (PointerScope scope = new PointerScope()) {
      LinearBranchStruct table = LinearBranch.structs(branches);
      BytePointer memory =
          workspace.atLeast(
              device, pp_linear_forward_workspace(handle.open(), x.rows(), table, branches.size()));
      check(
          pp_linear_forward(
              device.struct(),
              handle.open(),
              x.rows(),
              x.data(),
              x.ld(),
              table,
              branches.size(),
              Dropout.struct(dropout),
              y.data(),
              y.ld(),
              memory,
              memory.capacity()));
    }
  }

  /**
   * dX = dY W + Σ Dᵀ(dS A).
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param dy [M,N]
   * @param branches at most 16, may be empty; s holds dS [M,r], scaled already
   * @param dropout as in {@link #forward}
   * @param dx [M,K], written
   * @param workspace scratch memory, not for two calls at once
   */
  public void gradInput(
      Device device,
      Matrix dy,
      List<LinearBranch> branches,
      Dropout dropout,
      Matrix dx,
      Workspace workspace) {
    dy.require("dy", dtype, dy.rows(), rows);
    dx.require("dx", dtype, dy.rows(), cols);
    for (LinearBranch branch : branches) {
      require(device, branch, dy.rows());
    }
    try (PointerScope scope = new PointerScope()) {
      LinearBranchStruct table = LinearBranch.structs(branches);
      BytePointer memory =
          workspace.atLeast(
              device,
              pp_linear_grad_input_workspace(handle.open(), dy.rows(), table, branches.size()));
      check(
          pp_linear_grad_input(
              device.struct(),
              handle.open(),
              dy.rows(),
              dy.data(),
              dy.ld(),
              table,
              branches.size(),
              Dropout.struct(dropout),
              dx.data(),
              dx.ld(),
              memory,
              memory.capacity()));
    }
  }

  private void require(Device device, LinearBranch branch, long m) {
    DType trained = device.trainedType(dtype);
    Matrix a = Matrix.given("a", branch.a());
    a.require("a", trained, a.rows(), cols);
    Matrix.given("s", branch.s()).require("s", trained, m, a.rows());
  }

  @Override
  public void close() {
    cleanable.clean();
  }
}
