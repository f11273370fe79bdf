package org.prunepeft.benchmarks;

import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.prunepeft.kernels.Gate;
import org.prunepeft.torch.CausalAttention;
import org.prunepeft.torch.CausalAttentionBuilder;
import org.prunepeft.torch.GatedActivationOp;
import org.prunepeft.torch.RmsNormOp;
import org.prunepeft.torch.RotaryOp;
import org.prunepeft.torch.Tape;

/**
 * How fast is what a decoder's layer computes beside its linears, in SmolLM2-135M's sizes: causal
 * attention of 9 heads over 3 of keys, 64 columns each; RoPE of these heads' queries and keys,
 * whose values stand beside them; RMS normalisation of 576 columns; SwiGLU of 1536. {@code eager}
 * is LibTorch's operations with autograd, in attention its fused one. {@code Both} is forward and
 * backward.
 */
@State(Scope.Benchmark)
public class DecoderBenchmark extends TorchBenchmark {
  private static final int HEADS = 9;
  private static final int KEY_HEADS = 3;
  private static final int HEAD_SIZE = 64;

  /** Sequences x tokens. */
  @Param({"8x256", "2x1024"})
  public String batch;

  @Param public Operation operation;

  /** What is measured. */
  public enum Operation {
    ATTENTION((HEADS + 2 * KEY_HEADS) * HEAD_SIZE, HEADS * HEAD_SIZE),
    ROPE((HEADS + 2 * KEY_HEADS) * HEAD_SIZE, (HEADS + 2 * KEY_HEADS) * HEAD_SIZE),
    RMS_NORM(576, 576),
    SWIGLU(2 * 1536, 1536);

    final long inputs;
    final long outputs;

    Operation(long inputs, long outputs) {
      this.inputs = inputs;
      this.outputs = outputs;
    }
  }

  private Tensor input;
  private Tensor gradient;
  private Function<Tape, Tensor> pass;

  @Setup
  public void setUp(BenchmarkParams benchmark) {
    begin();
    String[] extents = batch.split("x");
    long sequences = Long.parseLong(extents[0]);
    long tokens = Long.parseLong(extents[1]);
    input = parameter(1, sequences * tokens, operation.inputs);
    gradient = random(1, sequences * tokens, operation.outputs);
    Tensor weight = random(1, operation.inputs);
    CausalAttention attention =
        CausalAttentionBuilder.builder()
            .sequences(sequences)
            .tokens(tokens)
            .heads(HEADS)
            .keyHeads(KEY_HEADS)
            .headSize(HEAD_SIZE)
            .scale(1 / Math.sqrt(HEAD_SIZE))
            .build();
    // Any angles take as long.
    RotaryOp.Angles angles =
        new RotaryOp.Angles(random(1, tokens, HEAD_SIZE / 2), random(1, tokens, HEAD_SIZE / 2));
    RotaryOp.Rotation rotation =
        new RotaryOp.Rotation(sequences, HEADS + KEY_HEADS, HEAD_SIZE, angles, 0, null);
    pass =
        own ->
            switch (operation) {
              case ATTENTION -> attention.apply(own, input);
              case ROPE -> RotaryOp.apply(own, input, rotation);
              case RMS_NORM -> RmsNormOp.apply(own, input, weight, 1e-5, false);
              case SWIGLU -> GatedActivationOp.apply(own, Gate.SWIGLU, input);
            };
    check();
    if (benchmark.getBenchmark().contains(".eager")) {
      setEagerThreads();
    }
  }

  @TearDown
  public void tearDown() {
    end();
  }

  private void check() {
    try (PointerScope temporary = new PointerScope()) {
      Tensor expected = pass.apply(null);
      backward(expected, gradient);
      Tensor expectedGradient = takeGradient(input);
      Tensor seen = pass.apply(tape);
      backward(seen, gradient);
      requireSame("output", expected, seen);
      requireSame("gradient", expectedGradient, takeGradient(input));
    } finally {
      tape.clear();
    }
  }

  @Benchmark
  public long oursForward() {
    return forward(() -> pass.apply(tape));
  }

  @Benchmark
  public long oursBoth() {
    return both(() -> pass.apply(tape), gradient, input);
  }

  @Benchmark
  public long eagerForward() {
    return forward(() -> pass.apply(null));
  }

  @Benchmark
  public long eagerBoth() {
    return both(() -> pass.apply(null), gradient, input);
  }
}
