package org.prunepeft.benchmarks;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleBiFunction;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.kernels.DType;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.ImportancePlan;
import org.prunepeft.torch.Torch;

/**
 * What do all statistics of all modules cost? {@code ours} is one call, {@code loop} a LibTorch
 * call a statistic and tensor as one would write it, {@code read} a sum over the same bytes: the
 * memory's streaming bandwidth, the limit.
 */
@State(Scope.Benchmark)
public class ImportanceBenchmark extends TorchBenchmark {
  /** Cold calls walk through copies of at least so much together, more than the caches hold. */
  private static final long COLD_BYTES = 320_000_000;

  private static final float THRESHOLD = 0.01f;

  /**
   * MiniLM, query and value, rank 32; RoBERTa-large likewise; Llama-7B, all linears, rank 16 (w and
   * g: 320 MB).
   */
  @Param({"24", "96", "448"})
  public int tensors;

  /** Whether w and g may lie in the caches still from the call before. */
  @Param({"warm", "cold"})
  public String memory;

  /** Elements of w, and as many of g, that the tensors of a model have together. */
  static long elements(int tensors) {
    long sum = 0;
    for (long length : lengths(tensors)) {
      sum += length;
    }
    return sum;
  }

  private static long[] lengths(int tensors) {
    long[] lengths = new long[tensors];
    for (int i = 0; i < tensors; i++) {
      lengths[i] =
          switch (tensors) {
            case 24 -> 32 * 384;
            case 96 -> 32 * 1024;
            // A layer has A and B of query, key, value, output, gate, up and down, in this order.
            case 448 -> 16 * (List.of(9, 11, 12).contains(i % 14) ? 11008 : 4096);
            default -> throw new IllegalArgumentException("no model has " + tensors + " tensors");
          };
    }
    return lengths;
  }

  /** Weights and gradients at one place in memory. */
  private record Copy(Tensor w, Tensor g, List<Tensor> ws, List<Tensor> gs, ImportancePlan plan) {}

  private final List<Copy> copies = new ArrayList<>();
  private int next;

  @Setup
  public void setUp() {
    begin();
    long[] lengths = lengths(tensors);
    long total = elements(tensors);
    long count =
        memory.equals("cold") ? Math.max(2, (COLD_BYTES + 8 * total - 1) / (8 * total)) : 1;
    for (int i = 0; i < count; i++) {
      copies.add(copy(lengths, total));
    }
    check();
  }

  private Copy copy(long[] lengths, long total) {
    Tensor w = random(0.02, total);
    Tensor g = random(0.01, total);
    List<Tensor> ws = new ArrayList<>();
    List<Tensor> gs = new ArrayList<>();
    List<ImportancePlan.Segment> segments = new ArrayList<>();
    long offset = 0;
    for (int i = 0; i < lengths.length; i++) {
      ws.add(w.narrow(0, offset, lengths[i]));
      gs.add(g.narrow(0, offset, lengths[i]));
      segments.add(
          new ImportancePlan.Segment(Torch.matrix(ws.get(i)), Torch.matrix(gs.get(i)), i, 0));
      offset += lengths[i];
    }
    ImportancePlan plan = new ImportancePlan(Device.cpu(), segments, lengths.length, 1);
    return new Copy(w, g, ws, gs, plan);
  }

  private void check() {
    Copy copy = copies.get(0);
    double[][] rows = statistics(copy);
    double[][] loop = loop(copy);
    for (int i = 0; i < tensors; i++) {
      // The loop does not count.
      double[] ours = Arrays.copyOfRange(rows[i], 1, rows[i].length);
      for (int j = 0; j < ours.length; j++) {
        // Σ w·g cancels; its error is measured by what it sums.
        double size = j == 6 ? ours[7] : 0;
        requireSame("statistic " + j + " of tensor " + i, size + loop[j][i], size + ours[j]);
      }
    }
  }

  @TearDown
  public void tearDown() {
    copies.forEach(copy -> copy.plan.close());
    end();
  }

  private Copy nextCopy() {
    next = next + 1 == copies.size() ? 0 : next + 1;
    return copies.get(next);
  }

  @Benchmark
  public double[][] ours() {
    return statistics(nextCopy());
  }

  /** The exact quantile over all weights, which the threshold may be taken from. */
  @Benchmark
  public float[] oursQuantile() {
    return nextCopy().plan.quantiles(0.5);
  }

  @Benchmark
  public double[][] loop() {
    return loop(nextCopy());
  }

  @Benchmark
  public double read() {
    Copy copy = nextCopy();
    try (PointerScope call = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return copy.w.sum().item_double() + copy.g.sum().item_double();
    }
  }

  private static double[][] statistics(Copy copy) {
    return copy.plan.statistics(DType.FLOAT32, new float[] {THRESHOLD});
  }

  private static final List<ToDoubleBiFunction<Tensor, Tensor>> STATISTICS =
      List.of(
          (w, g) -> w.square().sum().item_double(),
          (w, g) -> w.abs().sum().item_double(),
          (w, g) -> w.count_nonzero().item_long(),
          (w, g) -> w.abs().lt(new Scalar(THRESHOLD)).sum().item_long(),
          (w, g) -> g.square().sum().item_double(),
          (w, g) -> g.abs().sum().item_double(),
          (w, g) -> w.mul(g).sum().item_double(),
          (w, g) -> w.mul(g).abs().sum().item_double(),
          (w, g) -> w.mul(g).square().sum().item_double());

  private static double[][] loop(Copy copy) {
    double[][] results = new double[STATISTICS.size()][copy.ws.size()];
    try (NoGradGuard guard = new NoGradGuard()) {
      for (int i = 0; i < results.length; i++) {
        for (int j = 0; j < results[i].length; j++) {
          try (PointerScope call = new PointerScope()) {
            results[i][j] = STATISTICS.get(i).applyAsDouble(copy.ws.get(j), copy.gs.get(j));
          }
        }
      }
    }
    return results;
  }
}
