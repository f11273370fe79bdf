package org.prunepeft.benchmarks;

import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Warmup;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * What all benchmarks share: JMH's settings, which subclasses inherit, and a few lines about
 * tensors.
 */
// A call is many microseconds of native code: its mean is what a training pays, and percentiles
// would show the scheduler.
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// The time goes into native code, which needs no compiling. What settles in three seconds are the
// thread pools, LibTorch's
// allocator and the pages of the workspaces, and the compiler is done with the few lines of Java
// around the call.
@Warmup(iterations = 3, time = 1)
// A second holds hundreds of the small calls and some of the largest; five of them show the spread.
@Measurement(iterations = 5, time = 1)
@Fork(
    // Where the buffers lie differs from process to process, and with it what the caches do: three
    // processes show it.
    value = 3,
    // Appended, so that what is given to the launcher reaches the forks too.
    jvmArgsAppend = {
      // Room for loading the model from its file; no benchmark allocates much Java memory.
      "-Xmx3g",
      // JavaCPP counts native memory and by default stops at the size of the Java heap, with
      // collections and pauses before that:
      // LibTorch's tensors are freed by scopes, and the limits are to stay out of the way. 0 means
      // none.
      "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
      "-Dorg.bytedeco.javacpp.maxBytes=0",
      "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
      "-Dorg.slf4j.simpleLogger.log.ai.djl=error"
    })
public abstract class TorchBenchmark {
  /** Ours and LibTorch's sums run in different orders; float32, up to some thousand terms. */
  private static final double TOLERANCE = 1e-4;

  /** In bfloat16, each of a chain of operations rounds to 8 bits. */
  static final double ROUNDED = 3e-2;

  /**
   * A property that gives eager operations other threads than all: LibTorch's and OpenBLAS's, such
   * as 2,1. With all of both, LibTorch's threads wait for each other in OpenBLAS.
   */
  static final String EAGER_THREADS = "prunepeft.eager-threads";

  /** Frees what was made since {@link #begin}. */
  private PointerScope scope;

  Tape tape;

  /**
   * All pools get all processors; random numbers repeat. To be called before any other use of
   * LibTorch.
   */
  void begin() {
    Torch.setThreads(Runtime.getRuntime().availableProcessors());
    torch.manual_seed(1);
    scope = new PointerScope();
    tape = new Tape();
  }

  /** What {@link #EAGER_THREADS} says, from now on. */
  static void setEagerThreads() {
    String given = System.getProperty(EAGER_THREADS);
    if (given != null) {
      String[] counts = given.split(",");
      torch.set_num_threads(Integer.parseInt(counts[0]));
      openblas_nolapack.blas_set_num_threads(Integer.parseInt(counts[1]));
    }
  }

  /** The last that is called. */
  void end() {
    tape.close();
    scope.close();
  }

  /** A forward pass that records, as in training. */
  long forward(Supplier<Tensor> pass) {
    try (PointerScope call = new PointerScope()) {
      return pass.get().address();
    } finally {
      tape.clear();
    }
  }

  /** The same and the backward pass from this gradient to these leaves. */
  long both(Supplier<Tensor> pass, Tensor gradient, Tensor... leaves) {
    return forward(
        () -> {
          Tensor output = pass.get();
          backward(output, gradient);
          dropGradients(leaves);
          return output;
        });
  }

  /** Without recording. */
  static long unrecorded(Supplier<Tensor> work) {
    try (PointerScope call = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return work.get().address();
    }
  }

  /** A normal tensor of a size that keeps products near 1; the caller frees it. */
  static Tensor random(double deviation, long... shape) {
    return torch.randn(shape).mul_(new org.bytedeco.pytorch.Scalar(deviation));
  }

  static Tensor parameter(double deviation, long... shape) {
    return random(deviation, shape).set_requires_grad(true);
  }

  static void backward(Tensor output, Tensor gradient) {
    output.backward(gradient, new BoolOptional(), false, new TensorArrayRefOptional());
  }

  /** Forgets gradients, so that the next pass writes them instead of adding to them. */
  static void dropGradients(Tensor... leaves) {
    for (Tensor leaf : leaves) {
      leaf.mutable_grad().put(new Tensor());
    }
  }

  /** A leaf's gradient, which it then no longer has. */
  static Tensor takeGradient(Tensor leaf) {
    Tensor gradient = leaf.grad().clone();
    dropGradients(leaf);
    return gradient;
  }

  /**
   * @throws IllegalStateException if two results that are to be compared in time differ
   */
  static void requireSame(String name, Tensor expected, Tensor actual) {
    requireSame(name, expected, actual, TOLERANCE);
  }

  /**
   * @throws IllegalStateException if two results that are to be compared in time differ by more
   */
  static void requireSame(String name, Tensor expected, Tensor actual, double tolerance) {
    double norm = expected.detach().norm().item_double();
    double error = actual.detach().sub(expected.detach()).norm().item_double() / (norm + 1e-30);
    requireSmall(name, error, tolerance);
  }

  /**
   * @throws IllegalStateException if two results that are to be compared in time differ
   */
  static void requireSame(String name, double expected, double actual) {
    requireSmall(name, Math.abs(actual - expected) / (Math.abs(expected) + 1e-30), TOLERANCE);
  }

  private static void requireSmall(String name, double error, double tolerance) {
    if (!(error <= tolerance)) {
      throw new IllegalStateException(
          name + " differs: relative error " + error + ", at most " + tolerance + " is expected");
    }
  }
}
