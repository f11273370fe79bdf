package org.prunepeft.kernels;

import static org.prunepeft.kernels.KernelException.check;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.prunepeft.kernels.binding.ImportancePlanHandle;
import org.prunepeft.kernels.binding.LibPrunePeft;
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
     * @throws IllegalArgumentException if a value is out of its range
     */
    public Segment {
      weights.require("weights", weights.dtype(), 1, weights.cols());
      if (gradients != null) {
        gradients.require("gradients", weights.dtype(), 1, weights.cols());
      }
    }
  }

  private final Context context;
  private final int modules;
  private final int groups;
  private final NativeObject<ImportancePlanHandle> plan;

  /** Whose memory the plan reads. */
  private List<Segment> segments;

  /**
   * @param device whose kernels compute; what it reads and writes lies there
   * @param segments at least one, all of one type, with at most 2^32 - 1 weights together
   * @param modules how many modules there are; segments name 0 to modules - 1
   * @param groups how many groups there are
   * @throws KernelException if a segment is out of range or memory is short
   */
  public ImportancePlan(Device device, List<Segment> segments, int modules, int groups) {
    this.segments = List.copyOf(segments);
    this.modules = modules;
    this.groups = groups;
    DType dtype = segments.isEmpty() ? DType.FLOAT32 : segments.get(0).weights.dtype();
    for (Segment segment : segments) {
      segment.weights.require("weights", dtype, 1, segment.weights.cols());
    }
    context = new Context(device);
    ImportancePlanHandle created = new ImportancePlanHandle((Pointer) null);
    try (SegmentStruct table = table(segments)) {
      check(
          LibPrunePeft.pp_importance_plan_create(
              context.struct(), dtype.ordinal(), table, segments.size(), modules, groups, created),
          context);
    } catch (KernelException e) {
      context.close();
      throw e;
    }
    plan = new NativeObject<>(this, created, LibPrunePeft::pp_importance_plan_destroy);
  }

  private static SegmentStruct table(List<Segment> segments) {
    SegmentStruct table = new SegmentStruct(Math.max(1, segments.size()));
    for (int i = 0; i < segments.size(); i++) {
      Segment segment = segments.get(i);
      table.position(i).w(segment.weights.data()).n(segment.weights.cols());
      table.g(segment.gradients == null ? null : segment.gradients.data());
      table.module(segment.module).group(segment.group);
    }
    return table.position(0);
  }

  /**
   * The q-quantile of |w| over all weights of each group, exactly: the element of rank
   * floor(q·(n-1)).
   *
   * @param q in [0, 1]
   * @return one threshold a group; 0 for a group without weights
   */
  public float[] quantiles(double q) {
    try (DeviceBuffer out = new DeviceBuffer(context.device(), (long) groups * Float.BYTES)) {
      check(
          LibPrunePeft.pp_importance_quantile(
              context.struct(), plan.open(), q, new FloatPointer(out.pointer())),
          this);
      return out.floats(groups);
    }
  }

  /**
   * One pass over all weights and gradients.
   *
   * @param zeroType the type in which a weight counts as zero
   * @param thresholds one a group; null: no weight counts as below
   * @return [modules,10], one row a module, with its columns in the order of {@code pp_statistic}:
   *     n, Σ w², Σ |w|, weights that are not 0, weights below the threshold, Σ g², Σ |g|, Σ w·g, Σ
   *     |w·g|, Σ (w·g)²
   */
  public double[][] statistics(DType zeroType, float[] thresholds) {
    if (thresholds != null && thresholds.length != groups) {
      throw new IllegalArgumentException(
          "thresholds must have " + groups + " values, got " + thresholds.length);
    }
    int columns = LibPrunePeft.PP_STATISTICS;
    Device device = context.device();
    double[] table;
    try (DeviceBuffer out = new DeviceBuffer(device, (long) modules * columns * Double.BYTES);
        DeviceBuffer limits = thresholds == null ? null : DeviceBuffer.of(device, thresholds)) {
      check(
          LibPrunePeft.pp_importance(
              context.struct(),
              plan.open(),
              zeroType.ordinal(),
              limits == null ? null : new FloatPointer(limits.pointer()),
              new DoublePointer(out.pointer())),
          this);
      table = out.doubles(modules * columns);
    }
    double[][] rows = new double[modules][];
    for (int i = 0; i < modules; i++) {
      rows[i] = Arrays.copyOfRange(table, i * columns, (i + 1) * columns);
    }
    return rows;
  }

  @Override
  public void close() {
    plan.close();
    segments = null;
    context.close();
  }
}
