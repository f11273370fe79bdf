package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_STATISTICS;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_importance;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_importance_plan_create;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_importance_plan_destroy;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_importance_quantile;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_importance_workspace;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_output_magnitude;
import static org.prunepeft.kernels.binding.LibPrunePeft.pp_output_magnitude_workspace;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.prunepeft.kernels.binding.ImportancePlanHandle;
import org.prunepeft.kernels.binding.SegmentStruct;

/**
 * A table of weights and gradients whose statistics are taken in one pass. The plan keeps the
 * pointers: it stays good while the buffers stay where they are, whatever they hold. Not for two
 * threads at once.
 */
public final class ImportancePlan implements AutoCloseable {
  /**
   * A run of weights with their gradients.
   *
   * @param weights [1,n]
   * @param gradients [1,n]; null: they count as 0
   * @param module whose they are, 0 or more
   * @param group what quantiles are taken over, 0 or more
   */
  public record Segment(Matrix weights, Matrix gradients, int module, int group) {
    /**
     * Checks the values.
     *
     * @param weights [1,n]
     * @param gradients [1,n]; null: they count as 0
     * @param module whose they are, 0 or more
     * @param group what quantiles are taken over, 0 or more
     * @throws IllegalArgumentException if a value is out of its range
     */
    public Segment {
      weights.require("weights", weights.dtype(), 1, weights.cols());
      if (gradients != null) {
        gradients.require("gradients", weights.dtype(), 1, weights.cols());
      }
    }
  }

  private final Device device;
  private final int modules;
  private final int groups;
  private final Workspace workspace = new Workspace();
  private ImportancePlanHandle plan;

  /**
   * @param device whose kernels compute; what it reads and writes lies there
   * @param segments at least one, all of one type
   * @param modules how many modules there are; segments name 0 to modules - 1
   * @param groups how many groups there are
   * @throws KernelException if a segment is out of range or memory is short
   */
  public ImportancePlan(Device device, List<Segment> segments, int modules, int groups) {
    this.device = device;
    this.modules = modules;
    this.groups = groups;
    try (PointerScope scope = new PointerScope()) {
      SegmentStruct table = new SegmentStruct(Math.max(1, segments.size()));
      for (int i = 0; i < segments.size(); i++) {
        Segment segment = segments.get(i);
        SegmentStruct row = table.getPointer(i);
        row.w(segment.weights.data()).n(segment.weights.cols());
        row.g(segment.gradients == null ? null : segment.gradients.data());
        row.module(segment.module).group(segment.group);
      }
      DType dtype = segments.isEmpty() ? DType.FLOAT32 : segments.get(0).weights.dtype();
      for (Segment segment : segments) {
        segment.weights.require("weights", dtype, 1, segment.weights.cols());
      }
      ImportancePlanHandle created = new ImportancePlanHandle((Pointer) null);
      check(
          pp_importance_plan_create(
              device.struct(), dtype.ordinal(), table, segments.size(), modules, groups, created));
      created.retainReference();
      plan = created;
    }
  }

  /**
   * The q-quantile of |w| over all weights of each group, exactly: the element of rank
   * floor(q·(n-1)).
   *
   * @param q in [0, 1]
   * @return one threshold a group; 0 for a group without weights
   */
  public float[] quantiles(double q) {
    try (DeviceBuffer out = new DeviceBuffer(device, (long) groups * Float.BYTES)) {
      BytePointer memory = workspace.atLeast(device, pp_importance_workspace(open()));
      check(
          pp_importance_quantile(
              device.struct(),
              open(),
              q,
              new FloatPointer(out.pointer()),
              memory,
              memory.capacity()));
      return out.floats(groups);
    }
  }

  /**
   * One pass over all weights and gradients.
   *
   * @param zeroType the type in which a weight counts as zero
   * @param thresholds one a group; null: {@link Statistics#below} is 0
   * @return one row a module
   */
  public List<Statistics> statistics(DType zeroType, float[] thresholds) {
    if (thresholds != null && thresholds.length != groups) {
      throw new IllegalArgumentException(
          "thresholds must have " + groups + " values, got " + thresholds.length);
    }
    double[] table;
    try (DeviceBuffer out =
            new DeviceBuffer(device, (long) modules * PP_STATISTICS * Double.BYTES);
        DeviceBuffer limits = thresholds == null ? null : DeviceBuffer.of(device, thresholds)) {
      BytePointer memory = workspace.atLeast(device, pp_importance_workspace(open()));
      check(
          pp_importance(
              device.struct(),
              open(),
              zeroType.ordinal(),
              limits == null ? null : new FloatPointer(limits.pointer()),
              new DoublePointer(out.pointer()),
              memory,
              memory.capacity()));
      table = out.doubles(modules * PP_STATISTICS);
    }
    List<Statistics> rows = new ArrayList<>(modules);
    for (int module = 0; module < modules; module++) {
      rows.add(Statistics.row(table, module, PP_STATISTICS));
    }
    return List.copyOf(rows);
  }

  private ImportancePlanHandle open() {
    if (plan == null) {
      throw new IllegalStateException("this ImportancePlan is closed");
    }
    return plan;
  }

  @Override
  public void close() {
    if (plan != null) {
      pp_importance_plan_destroy(plan);
      plan.releaseReference();
      plan = null;
      workspace.close();
    }
  }

  /**
   * {@return Σ |σ(p) Qᵀ + bias| over the rows whose mask is not 0, without storing the product: the
   * size of a module's output}
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param p [M,r]
   * @param activation σ
   * @param q [N,r]
   * @param bias [N]; null: none
   * @param rowMask M bytes; null: all rows
   * @param workspace scratch memory, not for two calls at once
   */
  public static double outputMagnitude(
      Device device,
      Matrix p,
      Activation activation,
      Matrix q,
      Matrix bias,
      BytePointer rowMask,
      Workspace workspace) {
    try (DeviceBuffer sum = new DeviceBuffer(device, Double.BYTES)) {
      outputMagnitude(device, p, activation, q, bias, rowMask, sum.pointer(), workspace);
      return sum.doubles(1)[0];
    }
  }

  /**
   * The same, left on the device: nothing waits for it.
   *
   * @param device whose kernels compute; what it reads and writes lies there
   * @param p [M,r]
   * @param activation σ
   * @param q [N,r]
   * @param bias [N]; null: none
   * @param rowMask [M] bytes; rows of 0 do not count
   * @param sum float64 [1] in the device's memory, written
   * @param workspace scratch memory, not for two calls at once
   */
  public static void outputMagnitude(
      Device device,
      Matrix p,
      Activation activation,
      Matrix q,
      Matrix bias,
      BytePointer rowMask,
      Pointer sum,
      Workspace workspace) {
    q.require("q", p.dtype(), q.rows(), p.cols());
    if (bias != null) {
      bias.require("bias", p.dtype(), 1, q.rows());
    }
    if (rowMask != null && rowMask.limit() > 0 && rowMask.limit() - rowMask.position() < p.rows()) {
      throw new IllegalArgumentException(
          "rowMask must have " + p.rows() + " bytes, got " + rowMask.limit());
    }
    try (PointerScope scope = new PointerScope()) {
      int dtype = p.dtype().ordinal();
      BytePointer memory =
          workspace.atLeast(
              device,
              pp_output_magnitude_workspace(device.struct(), dtype, p.rows(), q.rows(), p.cols()));
      check(
          pp_output_magnitude(
              device.struct(),
              dtype,
              p.rows(),
              q.rows(),
              p.cols(),
              p.data(),
              p.ld(),
              activation.ordinal(),
              q.data(),
              q.ld(),
              bias == null ? null : bias.data(),
              rowMask,
              new DoublePointer(sum),
              memory,
              memory.capacity()));
    }
  }
}
