package org.prunepeft.benchmarks;

import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.T_TensorTensor_T;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.prunepeft.kernels.Dropout;
import org.prunepeft.kernels.LoraModule;
import org.prunepeft.torch.FrozenWeight;
import org.prunepeft.torch.LinearOp;

/**
 * What does LoRA cost on a frozen linear? {@code frozen} is the linear alone, the baseline; {@code
 * ours} the library's operation; {@code eager} LibTorch's operations with autograd, as PEFT writes
 * them; {@code addmm} the same by hand, gradients too, with the products added in place. {@code
 * Both} is forward and backward, with gradients of x, A and B (of x alone where it is frozen).
 */
@State(Scope.Benchmark)
public class LoraLinearBenchmark extends TorchBenchmark {
  private static final float SCALE = 0.5f;
  private static final int MASK = 7;

  /**
   * Tokens x inputs x outputs, rank: MiniLM's attention, RoBERTa-large's, a small batch, MiniLM's
   * feed-forward block.
   */
  @Param({
    "2048x384x384r32",
    "4096x1024x1024r32",
    "512x384x384r32",
    "2048x384x1536r32",
    "2048x1536x384r32"
  })
  public String shape;

  @Param({"0", "0.1"})
  public float dropout;

  /** M, K, N and r. */
  record Shape(long m, long k, long n, long r) {
    static Shape parse(String text) {
      String[] extents = text.split("[xr]");
      return new Shape(
          Long.parseLong(extents[0]),
          Long.parseLong(extents[1]),
          Long.parseLong(extents[2]),
          Long.parseLong(extents[3]));
    }

    /**
     * FLOP of a forward pass over those of the frozen linear, minus 1; a backward pass has twice
     * that.
     */
    double forwardLimit() {
      return r * (1.0 / k + 1.0 / n);
    }
  }

  private Tensor x;
  private Tensor weight;
  private Tensor bias;
  private FrozenWeight linear;

  /** The same in bfloat16. */
  private Tensor xRounded;

  private Tensor dyRounded;
  private FrozenWeight linearRounded;
  private Tensor a;
  private Tensor b;
  private Tensor dy;
  private int step;

  @Setup
  public void setUp() {
    begin();
    Shape size = Shape.parse(shape);
    x = parameter(1, size.m, size.k);
    weight = random(1 / Math.sqrt(size.k), size.n, size.k);
    bias = random(1, size.n);
    linear = new FrozenWeight(weight, bias);
    a = parameter(1 / Math.sqrt(size.k), size.r, size.k);
    b = parameter(1 / Math.sqrt(size.r), size.n, size.r);
    dy = random(1, size.m, size.n);
    xRounded = rounded(x.detach()).set_requires_grad(true);
    dyRounded = rounded(dy);
    linearRounded = new FrozenWeight(rounded(weight), rounded(bias));
    check(size);
  }

  private static Tensor rounded(Tensor tensor) {
    return tensor.to(torch.ScalarType.BFloat16);
  }

  @TearDown
  public void tearDown() {
    linear.close();
    linearRounded.close();
    end();
  }

  /** All three ways with one mask. */
  private void check(Shape size) {
    try (PointerScope temporary = new PointerScope()) {
      Tensor factors = dropout == 0 ? null : factors(size);
      Tensor expected = eager(input -> factors == null ? input : input.mul(factors));
      backward(expected, dy);
      Tensor dx = takeGradient(x);
      Tensor da = takeGradient(a);
      Tensor db = takeGradient(b);

      Tensor fused = LinearOp.apply(tape, x, linear, modules(0), null);
      requireSame("y of ours", expected, fused);
      backward(fused, dy);
      requireSame("dX of ours", dx, takeGradient(x));
      requireSame("dA of ours", da, takeGradient(a));
      requireSame("dB of ours", db, takeGradient(b));

      Tensor inBf16 = LinearOp.apply(tape, xRounded, linearRounded, modules(0), null);
      requireSame("y in bfloat16", expected, inBf16, ROUNDED);
      backward(inBf16, dyRounded);
      requireSame("dX in bfloat16", dx, takeGradient(xRounded), ROUNDED);
      requireSame("dA in bfloat16", da, takeGradient(a), ROUNDED);
      requireSame("dB in bfloat16", db, takeGradient(b), ROUNDED);

      try (NoGradGuard guard = new NoGradGuard()) {
        Dropped dropped =
            factors == null
                ? new Dropped(x, null)
                : new Dropped(x.mul(factors), factors.ne(new Scalar(0)));
        Tensor[] expectedGradients = {dx, da, db};
        Forward forward = addmm(dropped);
        check("addmm", expected, forward, expectedGradients, addmmBackward(dropped, forward));
        forward = panels(dropped);
        check("panels", expected, forward, expectedGradients, panelsBackward(dropped, forward));
      }
    } finally {
      tape.clear();
    }
  }

  private static void check(
      String method, Tensor y, Forward forward, Tensor[] gradients, Tensor[] found) {
    requireSame("y of " + method, y, forward.y);
    requireSame("dX of " + method, gradients[0], found[0]);
    requireSame("dA of " + method, gradients[1], found[1]);
    requireSame("dB of " + method, gradients[2], found[2]);
  }

  /**
   * What dropout of our step 0 multiplies x with [M,K]: the operation with identities in place of A
   * and B gives s·D(x).
   */
  private Tensor factors(Shape size) {
    try (NoGradGuard guard = new NoGradGuard();
        FrozenWeight nothing = new FrozenWeight(torch.zeros(size.k, size.k), null)) {
      Tensor identity = torch.eye(size.k);
      Tensor ones = torch.ones(size.m, size.k);
      LoraModule<Tensor> module = new LoraModule<>(identity, identity, 0, null, 1, mask(0));
      return LinearOp.apply(tape, ones, nothing, List.of(module), null).clone();
    }
  }

  private Dropout mask(int number) {
    return dropout == 0 ? null : new Dropout(dropout, 1, MASK, number, 0);
  }

  /** The module as it is in a step. */
  private List<LoraModule<Tensor>> modules(int number) {
    return List.of(new LoraModule<>(a, b, 0, null, SCALE, mask(number)));
  }

  // Frozen.

  @Benchmark
  public long frozenForward() {
    return unrecorded(this::frozen);
  }

  @Benchmark
  public long frozenBoth() {
    return both(this::frozen, dy, x);
  }

  private Tensor frozen() {
    return torch.linear(x, weight, new TensorOptional(bias));
  }

  // Our own frozen linear: what the modules cost on top of it is the stricter measure.

  @Benchmark
  public long oursFrozenForward() {
    return forward(this::oursFrozen);
  }

  @Benchmark
  public long oursFrozenBoth() {
    return both(this::oursFrozen, dy, x);
  }

  private Tensor oursFrozen() {
    return LinearOp.apply(tape, x, linear, List.of(), null);
  }

  // Ours.

  @Benchmark
  public long oursForward() {
    return forward(this::ours);
  }

  @Benchmark
  public long oursBoth() {
    return both(this::ours, dy, x, a, b);
  }

  private Tensor ours() {
    return LinearOp.apply(tape, x, linear, modules(step++), null);
  }

  // Ours, in bfloat16.

  @Benchmark
  public long oursBf16Forward() {
    return forward(this::oursBf16);
  }

  @Benchmark
  public long oursBf16Both() {
    return both(this::oursBf16, dyRounded, xRounded, a, b);
  }

  private Tensor oursBf16() {
    return LinearOp.apply(tape, xRounded, linearRounded, modules(step++), null);
  }

  // LibTorch's operations.

  @Benchmark
  public long eagerForward() {
    return forward(() -> eager(this::drop));
  }

  @Benchmark
  public long eagerBoth() {
    return both(() -> eager(this::drop), dy, x, a, b);
  }

  private Tensor drop(Tensor input) {
    return dropout == 0 ? input : torch.dropout(input, dropout, true);
  }

  /** As PEFT's Linear.forward: result + lora_B(lora_A(dropout(x))) * scaling. */
  private Tensor eager(UnaryOperator<Tensor> drop) {
    Tensor y = frozen();
    Tensor delta = torch.linear(torch.linear(drop.apply(x), a), b);
    return y.add(delta.mul(new Scalar(SCALE)));
  }

  // By hand.

  /** D(x), and which elements stayed (null: all). */
  private record Dropped(Tensor x, Tensor kept) {}

  private record Forward(Tensor y, Tensor s) {}

  @Benchmark
  public long addmmForward() {
    return unrecorded(() -> addmm(dropNative()).y);
  }

  @Benchmark
  public long addmmBoth() {
    return unrecorded(() -> addmmBoth(dropNative()));
  }

  private Dropped dropNative() {
    if (dropout == 0) {
      return new Dropped(x, null);
    }
    T_TensorTensor_T result = torch.native_dropout(x, dropout, new BoolOptional(true));
    return new Dropped(result.get0(), result.get1());
  }

  /** y += s·D(x)Aᵀ Bᵀ. */
  private Forward addmm(Dropped dropped) {
    Tensor y = frozen();
    Tensor s = dropped.x.mm(a.t()).mul_(new Scalar(SCALE));
    y.addmm_(s, b.t());
    return new Forward(y, s);
  }

  private Tensor addmmBoth(Dropped dropped) {
    return addmmBackward(dropped, addmm(dropped))[0];
  }

  /** dX, dA and dB. */
  private Tensor[] addmmBackward(Dropped dropped, Forward forward) {
    Tensor ds = dy.mm(b).mul_(new Scalar(SCALE));
    Tensor db = dy.t().mm(forward.s);
    Tensor da = ds.t().mm(dropped.x);
    Tensor dx = dy.mm(weight);
    addTo(dx, ds, dropped);
    return new Tensor[] {dx, da, db};
  }

  /** dX += Dᵀ(dS A). */
  private void addTo(Tensor dx, Tensor ds, Dropped dropped) {
    if (dropped.kept == null) {
      dx.addmm_(ds, a);
    } else {
      dx.add_(torch.native_dropout_backward(ds.mm(a), dropped.kept, 1 / (1.0 - dropout)));
    }
  }

  // Row panels: addmm_ on so many rows at a time that they are still in the caches.

  private static final long PANEL = 256;

  @Benchmark
  public long panelsForward() {
    return unrecorded(() -> panels(dropNative()).y);
  }

  @Benchmark
  public long panelsBoth() {
    return unrecorded(() -> panelsBoth(dropNative()));
  }

  private Forward panels(Dropped dropped) {
    Tensor y = torch.empty(x.size(0), bias.size(0));
    Tensor s = torch.empty(x.size(0), a.size(0));
    for (long row = 0; row < x.size(0); row += PANEL) {
      long rows = Math.min(PANEL, x.size(0) - row);
      Tensor part = s.narrow(0, row, rows);
      torch.mm_out(part, dropped.x.narrow(0, row, rows), a.t());
      part.mul_(new Scalar(SCALE));
      Tensor to = y.narrow(0, row, rows);
      torch.addmm_out(to, bias, x.narrow(0, row, rows), weight.t());
      to.addmm_(part, b.t());
    }
    return new Forward(y, s);
  }

  private Tensor panelsBoth(Dropped dropped) {
    return panelsBackward(dropped, panels(dropped))[0];
  }

  private Tensor[] panelsBackward(Dropped dropped, Forward forward) {
    Tensor dx = torch.empty(x.size(0), x.size(1));
    Tensor da = torch.zeros(a.size(0), a.size(1));
    Tensor db = torch.zeros(b.size(0), b.size(1));
    for (long row = 0; row < x.size(0); row += PANEL) {
      long rows = Math.min(PANEL, x.size(0) - row);
      Tensor from = dy.narrow(0, row, rows);
      Tensor ds = from.mm(b).mul_(new Scalar(SCALE));
      Tensor kept = dropped.kept == null ? null : dropped.kept.narrow(0, row, rows);
      Dropped part = new Dropped(dropped.x.narrow(0, row, rows), kept);
      Tensor to = dx.narrow(0, row, rows);
      torch.mm_out(to, from, weight);
      addTo(to, ds, part);
      da.addmm_(ds.t(), part.x);
      db.addmm_(from.t(), forward.s.narrow(0, row, rows));
    }
    return new Tensor[] {dx, da, db};
  }
}
