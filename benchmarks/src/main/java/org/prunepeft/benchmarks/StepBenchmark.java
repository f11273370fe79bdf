package org.prunepeft.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** What benchmarks of whole training steps share: the optimiser, and what is counted. */
// Rates, because JMH then gives the counters as rates too: tokens and FLOP a second.
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
public abstract class StepBenchmark extends TorchBenchmark {
  private static final double LEARNING_RATE = 1e-4;

  /** Counted apart from the steps. */
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  @State(Scope.Thread)
  public static class Counters {
    /** Real tokens, padding left out. */
    public long tokens;

    /** FLOP of all products that the step needs, padding included. */
    public double gigaflop;

    @Setup(Level.Iteration)
    public void clear() {
      tokens = 0;
      gigaflop = 0;
    }
  }

  static AdamW adamw(Tensor... parameters) {
    AdamWOptions options = new AdamWOptions(LEARNING_RATE);
    options.weight_decay().put(0.01);
    return new AdamW(new TensorVector(parameters), options);
  }

  static double train(Tensor loss, List<AdamW> optimizers) {
    loss.backward();
    optimizers.forEach(AdamW::step);
    clearGradients(optimizers);
    return loss.item_double();
  }

  /** In place, as the library does: its gradients lie in one buffer. */
  static void clearGradients(List<AdamW> optimizers) {
    optimizers.forEach(optimizer -> optimizer.zero_grad(false));
  }
}
