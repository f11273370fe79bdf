package org.prunepeft.benchmarks;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.kernels.Activation;
import org.prunepeft.torch.AdapterOp;

/**
 * How fast is a serial bottleneck adapter, out = h + relu(v Dᵀ + d) Uᵀ + u? {@code products} are
 * the matrix products alone, by LibTorch: what nothing but a better product can beat. {@code eager}
 * is LibTorch's operations with autograd. {@code Both} is forward and backward, with gradients of
 * v, h and all weights.
 */
@State(Scope.Benchmark)
public class SerialAdapterBenchmark extends TorchBenchmark {
  /** Tokens x hidden size, bottleneck: MiniLM and RoBERTa-large. */
  @Param({"2048x384m128", "4096x1024m128"})
  public String size;

  /** M, K and m. */
  record Size(long rows, long hidden, long bottleneck) {
    static Size parse(String text) {
      String[] extents = text.split("[xm]");
      return new Size(
          Long.parseLong(extents[0]), Long.parseLong(extents[1]), Long.parseLong(extents[2]));
    }

    /** FLOP of the forward pass's products; the backward pass has twice as many. */
    double forwardFlop() {
      return 4.0 * rows * hidden * bottleneck;
    }
  }

  private Tensor v;
  private Tensor h;
  private Tensor down;
  private Tensor downBias;
  private Tensor up;
  private Tensor upBias;
  private Tensor dout;
  private Tensor hidden;
  private AdapterOp.Parameters weights;

  @Setup
  public void setUp() {
    begin();
    Size shape = Size.parse(size);
    v = parameter(1, shape.rows, shape.hidden);
    h = parameter(1, shape.rows, shape.hidden);
    down = parameter(1 / Math.sqrt(shape.hidden), shape.bottleneck, shape.hidden);
    downBias = parameter(1, shape.bottleneck);
    up = parameter(1 / Math.sqrt(shape.bottleneck), shape.hidden, shape.bottleneck);
    upBias = parameter(1, shape.hidden);
    dout = random(1, shape.rows, shape.hidden);
    hidden = random(1, shape.rows, shape.bottleneck);
    weights = new AdapterOp.Parameters(down, downBias, up, upBias, Activation.RELU);
    check();
  }

  @TearDown
  public void tearDown() {
    end();
  }

  private Tensor[] leaves() {
    return new Tensor[] {v, h, down, downBias, up, upBias};
  }

  private void check() {
    try (PointerScope temporary = new PointerScope()) {
      Tensor expected = eager();
      backward(expected, dout);
      Tensor[] leaves = leaves();
      Tensor[] gradients = new Tensor[leaves.length];
      for (int i = 0; i < leaves.length; i++) {
        gradients[i] = takeGradient(leaves[i]);
      }
      Tensor fused = ours();
      requireSame("out", expected, fused);
      backward(fused, dout);
      for (int i = 0; i < leaves.length; i++) {
        requireSame("gradient " + i, gradients[i], takeGradient(leaves[i]));
      }
    } finally {
      tape.clear();
    }
  }

  @Benchmark
  public long productsForward() {
    try (PointerScope call = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return v.mm(down.t()).address() ^ hidden.mm(up.t()).address();
    }
  }

  @Benchmark
  public long productsBoth() {
    try (PointerScope call = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      long forward = v.mm(down.t()).address() ^ hidden.mm(up.t()).address();
      long weightGradients = dout.t().mm(hidden).address() ^ hidden.t().mm(v).address();
      return forward ^ weightGradients ^ dout.mm(up).address() ^ hidden.mm(down).address();
    }
  }

  @Benchmark
  public long oursForward() {
    return forward(this::ours);
  }

  @Benchmark
  public long oursBoth() {
    return both(this::ours, dout, leaves());
  }

  @Benchmark
  public long eagerForward() {
    return forward(this::eager);
  }

  @Benchmark
  public long eagerBoth() {
    return both(this::eager, dout, leaves());
  }

  private Tensor ours() {
    return AdapterOp.apply(tape, v, h, weights, null);
  }

  private Tensor eager() {
    Tensor z = torch.linear(v, down, new TensorOptional(downBias));
    return h.add(torch.linear(z.relu(), up, new TensorOptional(upBias)));
  }
}
