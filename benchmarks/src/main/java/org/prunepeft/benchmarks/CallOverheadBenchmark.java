package org.prunepeft.benchmarks;

import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.kernels.Kernels;
import org.prunepeft.kernels.Linear;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.kernels.LoraPass;
import org.prunepeft.kernels.Matrix;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.LinearOp;
import org.prunepeft.torch.Torch;

/**
 * What does it cost to call native code from Java? The operands are so small that there is next to
 * nothing to compute.
 */
@State(Scope.Benchmark)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class CallOverheadBenchmark extends TorchBenchmark {
  private static final int ROWS = 2;
  private static final int COLS = 8;
  private static final int RANK = 1;

  private Context context;
  private Tensor x;
  private FrozenWeight linear;
  private Tensor a;
  private Tensor b;
  private Matrix input;
  private Matrix s;
  private EncodedDataset examples;
  private final int[] batch = IntStream.range(0, 32).toArray();

  @Setup
  public void setUp() {
    begin();
    context = new Context(Device.cpu());
    x = random(1, ROWS, COLS);
    linear = new FrozenWeight(random(1, COLS, COLS), null);
    a = random(1, RANK, COLS);
    b = random(1, COLS, RANK);
    input = Torch.matrix(x);
    Tensor product = ComputeDevice.CPU.emptyMatrix(ROWS, RANK);
    s = Torch.matrix(product);
    Linear.down(context, input, passes());
    requireSame("S", x.mm(a.t()), product);
    Encoding encoding = new Encoding(new int[128], new int[128]);
    examples =
        EncodedDataset.of(Collections.nCopies(batch.length, encoding), new double[batch.length]);
  }

  @TearDown
  public void tearDown() {
    context.close();
    end();
  }

  /** Into the native library and back. */
  @Benchmark
  public int emptyKernelCall() {
    return Kernels.threads();
  }

  /** Opens and closes the scope that frees a call's native objects; part of all below. */
  @Benchmark
  public PointerScope pointerScope() {
    try (PointerScope call = new PointerScope()) {
      return call;
    }
  }

  /** A kernel with its checks and structs: S = x Aᵀ. */
  @Benchmark
  public Matrix fusedKernel() {
    Linear.down(context, input, passes());
    return s;
  }

  /** A whole LoRA linear, unrecorded. */
  @Benchmark
  public long fusedOperation() {
    return unrecorded(
        () -> LinearOp.apply(tape, x, linear, List.of(new LoraModule<>(a, b, 1)), null));
  }

  /** An addition. */
  @Benchmark
  public long libTorchOperation() {
    return unrecorded(() -> x.add(x));
  }

  /** No call, but what a training step waits for too: 32 x 128 tokens are put together. */
  @Benchmark
  public Batch makeBatch() {
    return Batch.of(examples, batch);
  }

  private List<LoraPass> passes() {
    return List.of(new LoraPass(new LoraModule<>(Torch.matrix(a), null, 1), s));
  }
}
