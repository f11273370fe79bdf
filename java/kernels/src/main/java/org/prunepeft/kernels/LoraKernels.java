package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_down;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_down_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_grad_down;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_grad_down_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_grad_input;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_grad_input_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_grad_up;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_grad_up_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_up;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_lora_up_workspace;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * LoRA on a frozen linear, y = x Wᵀ + b + s·D(x) Aᵀ Bᵀ, cut at the rank-r tensors; the products
 * with W are the caller's.
 *
 * <p>Every method throws {@link IllegalArgumentException} if shapes or types disagree, and {@link
 * KernelException} if the native call fails. A call for M = 0 reads and writes nothing: gradients
 * stay as they are, even where they would be replaced. Nothing is kept after a call returns. On a
 * CUDA device calls only enqueue.
 */
public final class LoraKernels {
  private LoraKernels() {}

  /**
   * S = s·D(x) Aᵀ for each branch.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x [M,K]
   * @param branches 1 to 16; a, scale, module are read, s [M,r] is written
   * @param dropout null: none
   * @param xCopy where x itself is also written, [M,K]; null: nowhere
   * @param workspace scratch memory, not for two calls at once
   */
  public static void down(
      Device device,
      Matrix x,
      List<LoraBranch> branches,
      Dropout dropout,
      Matrix xCopy,
      Workspace workspace) {
    long m = x.rows();
    long k = x.cols();
    for (LoraBranch branch : branches) {
      branch.s().require("s", x.dtype(), m, branch.s().cols());
      Matrix.given("a", branch.a()).require("a", x.dtype(), branch.s().cols(), k);
    }
    if (xCopy != null) {
      xCopy.require("xCopy", x.dtype(), m, k);
    }
    try (PointerScope scope = new PointerScope()) {
      int dtype = x.dtype().ordinal();
      long bytes = pp_lora_down_workspace(device.struct(), dtype, m, k, LoraBranch.ranks(branches));
      BytePointer memory = workspace.atLeast(device, bytes);
      check(
          pp_lora_down(
              device.struct(),
              dtype,
              m,
              k,
              x.data(),
              x.ld(),
              LoraBranch.structs(branches),
              branches.size(),
              Dropout.struct(dropout),
              xCopy == null ? null : xCopy.data(),
              xCopy == null ? 0 : xCopy.ld(),
              memory,
              memory.capacity()));
    }
  }

  /**
   * y += S Bᵀ.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param s [M,r]
   * @param b [N,r]
   * @param y [M,N], read and written
   * @param workspace scratch memory, not for two calls at once
   */
  public static void up(Device device, Matrix s, Matrix b, Matrix y, Workspace workspace) {
    b.require("b", s.dtype(), b.rows(), s.cols());
    y.require("y", s.dtype(), s.rows(), b.rows());
    int dtype = s.dtype().ordinal();
    BytePointer memory =
        workspace.atLeast(
            device, pp_lora_up_workspace(device.struct(), dtype, y.rows(), y.cols(), s.cols()));
    check(
        pp_lora_up(
            device.struct(),
            dtype,
            y.rows(),
            y.cols(),
            s.cols(),
            s.data(),
            s.ld(),
            b.data(),
            b.ld(),
            y.data(),
            y.ld(),
            1,
            memory,
            memory.capacity()));
  }

  /**
   * dS = scale·dY B and dB = dYᵀ S from one read of dY.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param dy [M,N]
   * @param b [N,r]
   * @param s [M,r], as {@link #down} wrote it
   * @param scale s, alpha / r for LoRA
   * @param ds [M,r], written; null where it is not wanted
   * @param db [N,r], float32, written or added to
   * @param accumulate whether gradients are added to what is there; else they replace it
   * @param workspace scratch memory, not for two calls at once
   */
  public static void gradUp(
      Device device,
      Matrix dy,
      Matrix b,
      Matrix s,
      float scale,
      Matrix ds,
      Matrix db,
      boolean accumulate,
      Workspace workspace) {
    long m = dy.rows();
    long n = dy.cols();
    long r = s.cols();
    DType trained = device.trainedType(dy.dtype());
    b.require("b", trained, n, r);
    s.require("s", trained, m, r);
    db.require("db", DType.FLOAT32, n, r);
    if (ds != null) {
      ds.require("ds", trained, m, r);
    }
    try (PointerScope scope = new PointerScope()) {
      int dtype = dy.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(device, pp_lora_grad_up_workspace(device.struct(), dtype, m, n, r));
      check(
          pp_lora_grad_up(
              device.struct(),
              dtype,
              m,
              n,
              r,
              dy.data(),
              dy.ld(),
              b.data(),
              b.ld(),
              s.data(),
              s.ld(),
              scale,
              ds == null ? null : ds.data(),
              ds == null ? 0 : ds.ld(),
              new FloatPointer(db.data()),
              db.ld(),
              accumulate ? 1 : 0,
              memory,
              memory.capacity()));
    }
  }

  /**
   * dA = dSᵀ D(x) for each branch.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x [M,K]
   * @param branches s holds dS [M,r]; da [r,K] is written or added to
   * @param dropout as in {@link #down}
   * @param accumulate whether gradients are added to what is there; else they replace it
   * @param workspace scratch memory, not for two calls at once
   */
  public static void gradDown(
      Device device,
      Matrix x,
      List<LoraBranch> branches,
      Dropout dropout,
      boolean accumulate,
      Workspace workspace) {
    for (LoraBranch branch : branches) {
      branch.s().require("ds", device.trainedType(x.dtype()), x.rows(), branch.s().cols());
      Matrix.given("da", branch.da()).require("da", DType.FLOAT32, branch.s().cols(), x.cols());
    }
    try (PointerScope scope = new PointerScope()) {
      int dtype = x.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device,
              pp_lora_grad_down_workspace(
                  device.struct(), dtype, x.rows(), x.cols(), LoraBranch.ranks(branches)));
      check(
          pp_lora_grad_down(
              device.struct(),
              dtype,
              x.rows(),
              x.cols(),
              x.data(),
              x.ld(),
              LoraBranch.structs(branches),
              branches.size(),
              Dropout.struct(dropout),
              accumulate ? 1 : 0,
              memory,
              memory.capacity()));
    }
  }

  /**
   * dX += Dᵀ(dS A), summed over the branches.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param branches s holds dS [M,r], a is A [r,K]
   * @param dropout as in {@link #down}
   * @param dx [M,K], read and written
   * @param workspace scratch memory, not for two calls at once
   */
  public static void gradInput(
      Device device, List<LoraBranch> branches, Dropout dropout, Matrix dx, Workspace workspace) {
    for (LoraBranch branch : branches) {
      branch.s().require("ds", dx.dtype(), dx.rows(), branch.s().cols());
      Matrix.given("a", branch.a()).require("a", dx.dtype(), branch.s().cols(), dx.cols());
    }
    try (PointerScope scope = new PointerScope()) {
      int dtype = dx.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device,
              pp_lora_grad_input_workspace(
                  device.struct(), dtype, dx.rows(), dx.cols(), LoraBranch.ranks(branches)));
      check(
          pp_lora_grad_input(
              device.struct(),
              dtype,
              dx.rows(),
              dx.cols(),
              LoraBranch.structs(branches),
              branches.size(),
              Dropout.struct(dropout),
              dx.data(),
              dx.ld(),
              1,
              memory,
              memory.capacity()));
    }
  }
}
