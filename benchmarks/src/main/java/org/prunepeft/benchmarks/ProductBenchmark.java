package org.prunepeft.benchmarks;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.Torch;

/**
 * How fast does LibTorch multiply matrices here? The fastest of these counts as the machine's peak
 * in the tables.
 */
@State(Scope.Benchmark)
public class ProductBenchmark extends TorchBenchmark {
  /** M x K x N: a large product, and MiniLM's with its feed-forward block. */
  @Param({"2048x2048x2048", "4096x384x1536"})
  public String product;

  private Tensor left;
  private Tensor right;
  private Tensor result;
  private FrozenWeight prepared;
  private Context context;

  /** FLOP of a product. */
  static double flop(String product) {
    double flop = 2;
    for (String extent : product.split("x")) {
      flop *= Long.parseLong(extent);
    }
    return flop;
  }

  @Setup
  public void setUp() {
    begin();
    String[] extents = product.split("x");
    long inner = Long.parseLong(extents[1]);
    left = random(1, Long.parseLong(extents[0]), inner);
    right = random(1, Long.parseLong(extents[2]), inner);
    result = ComputeDevice.CPU.emptyMatrix(left.size(0), right.size(0));
    prepared = new FrozenWeight(right, null);
    context = new Context(Device.cpu());
    ours();
    try (PointerScope temporary = new PointerScope()) {
      requireSame("the product", left.mm(right.t()), result);
    }
  }

  @TearDown
  public void tearDown() {
    prepared.close();
    context.close();
    end();
  }

  @Benchmark
  public long libTorch() {
    return unrecorded(() -> left.mm(right.t()));
  }

  /** The right operand prepared once, as that of a frozen linear is. */
  @Benchmark
  public long ours() {
    try (PointerScope call = new PointerScope()) {
      prepared
          .prepared(context)
          .forward(context, Torch.matrix(left), List.of(), Torch.matrix(result));
      return result.address();
    }
  }
}
