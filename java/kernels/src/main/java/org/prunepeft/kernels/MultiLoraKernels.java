package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_down;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_down_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_grad_down;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_grad_down_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_grad_input;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_grad_input_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_grad_up;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_grad_up_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_up;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_multi_lora_up_workspace;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.binding.MultiLoraStruct;

/**
 * LoRA of several adapters over one batch of rows that share a frozen linear: many searches, seeds
 * or tenants at once. Segments of rows name their adapter, whose rank, weights and dropout are its
 * own; on a CUDA device each method is one launch for all of them (and one or two small ones that
 * add partial sums).
 *
 * <p>A segment's results are bit for bit those of {@link LoraKernels} called with its rows alone.
 * Where an adapter has several segments, its gradients are those of such calls one after the other,
 * each after the first accumulating. Rows that no segment covers keep what they hold, and so do
 * gradients of adapters without rows.
 *
 * <p>S and dS [M,R] are one matrix for the batch, R at least the largest rank; a segment uses the
 * first columns of its rows. At most 32 adapters and 32 segments.
 *
 * <p>Every method throws {@link IllegalArgumentException} if shapes or types disagree, and {@link
 * KernelException} if the native call fails. Nothing is kept after a call returns.
 */
public final class MultiLoraKernels {
  /** Of one call. */
  public static final int MOST_ADAPTERS = 32;

  private MultiLoraKernels() {}

  /**
   * S = s·D(x) Aᵀ.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x [M,K]
   * @param adapters a, scale and module are read
   * @param segments in rising order of rows, none overlapping
   * @param s [M,R], written
   * @param workspace scratch memory, not for two calls at once
   */
  public static void down(
      Device device,
      Matrix x,
      List<LoraAdapter> adapters,
      List<LoraSegment> segments,
      Matrix s,
      Workspace workspace) {
    s.require("s", x.dtype(), x.rows(), s.cols());
    for (LoraAdapter adapter : adapters) {
      requireRank(adapter, s);
      Matrix.given("a", adapter.a()).require("a", x.dtype(), adapter.rank(), x.cols());
    }
    try (PointerScope scope = new PointerScope()) {
      MultiLoraStruct multi = struct(adapters, segments);
      int dtype = x.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_multi_lora_down_workspace(device.struct(), dtype, x.cols(), multi));
      check(
          pp_multi_lora_down(
              device.struct(),
              dtype,
              x.rows(),
              x.cols(),
              x.data(),
              x.ld(),
              multi,
              s.data(),
              s.ld(),
              memory,
              memory.capacity()));
    }
  }

  /**
   * y += S Bᵀ.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param adapters b is read
   * @param segments of rows, each with the index of its adapter
   * @param s [M,R], as {@link #down} wrote it
   * @param y [M,N], read and written
   * @param workspace scratch memory, not for two calls at once
   */
  public static void up(
      Device device,
      List<LoraAdapter> adapters,
      List<LoraSegment> segments,
      Matrix s,
      Matrix y,
      Workspace workspace) {
    s.require("s", y.dtype(), y.rows(), s.cols());
    for (LoraAdapter adapter : adapters) {
      requireRank(adapter, s);
      Matrix.given("b", adapter.b()).require("b", y.dtype(), y.cols(), adapter.rank());
    }
    try (PointerScope scope = new PointerScope()) {
      MultiLoraStruct multi = struct(adapters, segments);
      int dtype = y.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_multi_lora_up_workspace(device.struct(), dtype, y.cols(), multi));
      check(
          pp_multi_lora_up(
              device.struct(),
              dtype,
              y.rows(),
              y.cols(),
              multi,
              s.data(),
              s.ld(),
              y.data(),
              y.ld(),
              memory,
              memory.capacity()));
    }
  }

  /**
   * dS = scale·dY B and dB = dYᵀ S from one read of dY.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param dy [M,N]
   * @param adapters b and scale are read, db is written or added to
   * @param segments of rows, each with the index of its adapter
   * @param s [M,R], as {@link #down} wrote it
   * @param ds [M,R], written; null where it is not wanted
   * @param accumulate whether gradients are added to what is there; else they replace it
   * @param workspace scratch memory, not for two calls at once
   */
  public static void gradUp(
      Device device,
      Matrix dy,
      List<LoraAdapter> adapters,
      List<LoraSegment> segments,
      Matrix s,
      Matrix ds,
      boolean accumulate,
      Workspace workspace) {
    DType trained = device.trainedType(dy.dtype());
    s.require("s", trained, dy.rows(), s.cols());
    if (ds != null) {
      ds.require("ds", trained, dy.rows(), s.cols());
    }
    for (LoraAdapter adapter : adapters) {
      requireRank(adapter, s);
      Matrix.given("b", adapter.b()).require("b", trained, dy.cols(), adapter.rank());
      Matrix.given("db", adapter.db()).require("db", DType.FLOAT32, dy.cols(), adapter.rank());
    }
    try (PointerScope scope = new PointerScope()) {
      MultiLoraStruct multi = struct(adapters, segments);
      int dtype = dy.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_multi_lora_grad_up_workspace(device.struct(), dtype, dy.cols(), multi));
      check(
          pp_multi_lora_grad_up(
              device.struct(),
              dtype,
              dy.rows(),
              dy.cols(),
              dy.data(),
              dy.ld(),
              multi,
              s.data(),
              s.ld(),
              ds == null ? null : ds.data(),
              ds == null ? 0 : ds.ld(),
              accumulate ? 1 : 0,
              memory,
              memory.capacity()));
    }
  }

  /**
   * dA = dSᵀ D(x).
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param x [M,K]
   * @param adapters module is read, da is written or added to
   * @param segments with the dropout of {@link #down}
   * @param ds [M,R], as {@link #gradUp} wrote it
   * @param accumulate whether gradients are added to what is there; else they replace it
   * @param workspace scratch memory, not for two calls at once
   */
  public static void gradDown(
      Device device,
      Matrix x,
      List<LoraAdapter> adapters,
      List<LoraSegment> segments,
      Matrix ds,
      boolean accumulate,
      Workspace workspace) {
    ds.require("ds", device.trainedType(x.dtype()), x.rows(), ds.cols());
    for (LoraAdapter adapter : adapters) {
      requireRank(adapter, ds);
      Matrix.given("da", adapter.da()).require("da", DType.FLOAT32, adapter.rank(), x.cols());
    }
    try (PointerScope scope = new PointerScope()) {
      MultiLoraStruct multi = struct(adapters, segments);
      int dtype = x.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_multi_lora_grad_down_workspace(device.struct(), dtype, x.cols(), multi));
      check(
          pp_multi_lora_grad_down(
              device.struct(),
              dtype,
              x.rows(),
              x.cols(),
              x.data(),
              x.ld(),
              multi,
              ds.data(),
              ds.ld(),
              accumulate ? 1 : 0,
              memory,
              memory.capacity()));
    }
  }

  /**
   * dX += Dᵀ(dS A).
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param adapters a and module are read
   * @param segments with the dropout of {@link #down}
   * @param ds [M,R], as {@link #gradUp} wrote it
   * @param dx [M,K], read and written
   * @param workspace scratch memory, not for two calls at once
   */
  public static void gradInput(
      Device device,
      List<LoraAdapter> adapters,
      List<LoraSegment> segments,
      Matrix ds,
      Matrix dx,
      Workspace workspace) {
    ds.require("ds", dx.dtype(), dx.rows(), ds.cols());
    for (LoraAdapter adapter : adapters) {
      requireRank(adapter, ds);
      Matrix.given("a", adapter.a()).require("a", dx.dtype(), adapter.rank(), dx.cols());
    }
    try (PointerScope scope = new PointerScope()) {
      MultiLoraStruct multi = struct(adapters, segments);
      int dtype = dx.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device, pp_multi_lora_grad_input_workspace(device.struct(), dtype, dx.cols(), multi));
      check(
          pp_multi_lora_grad_input(
              device.struct(),
              dtype,
              dx.rows(),
              dx.cols(),
              multi,
              ds.data(),
              ds.ld(),
              dx.data(),
              dx.ld(),
              memory,
              memory.capacity()));
    }
  }

  private static void requireRank(LoraAdapter adapter, Matrix s) {
    if (adapter.rank() < 1 || adapter.rank() > s.cols()) {
      throw new IllegalArgumentException(
          String.format(
              "an adapter's rank must be in [1, %d], the columns of S, got %d",
              s.cols(), adapter.rank()));
    }
  }

  /** Closed with the caller's scope. */
  private static MultiLoraStruct struct(List<LoraAdapter> adapters, List<LoraSegment> segments) {
    return new MultiLoraStruct()
        .adapters(LoraAdapter.structs(adapters))
        .adapter_count(adapters.size())
        .segments(LoraSegment.structs(segments))
        .segment_count(segments.size());
  }
}
