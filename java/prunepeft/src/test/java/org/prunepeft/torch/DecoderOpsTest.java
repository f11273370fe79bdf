package org.prunepeft.torch;

import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.kernels.Gate;
import org.prunepeft.testing.TestSeed;

/** RMS normalisation, rotary embedding and gates by our kernels beside LibTorch's operations. */
class DecoderOpsTest {
  private static final torch.ScalarType[] TYPES = {
    torch.ScalarType.Float, torch.ScalarType.BFloat16
  };

  private final Random random = TestSeed.random();

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** Roundings of a result that are in no sum: factors, a root, an exponential. */
  private static final int OTHERS = 12;

  @ParameterizedTest
  @CsvSource({"1, 1, 1, false", "7, 33, 1, true", "5, 16, 3, false", "4, 70, 2, true"})
  void rmsNorm(int rows, int width, int groups, boolean addsOne) {
    for (torch.ScalarType type : TYPES) {
      try (PointerScope scope = new PointerScope();
          Tape tape = new Tape()) {
        Tensor weight = RandomTensors.normal(width).to(type);
        // Columns of a wider matrix, as those of a query are.
        long columns = (long) groups * width;
        Tensor x = RandomTensors.normal(rows, columns + 5);
        Tensor dy = RandomTensors.normal(rows, columns);
        // One sum over a group forward, two backward, whose terms w·dy/|x| may cancel.
        OpComparison.Roundings roundings =
            new OpComparison.Roundings(
                2 * width + OTHERS, 1, 0, terms(x.narrow(1, 2, columns), weight, dy, addsOne));
        new OpComparison(type, roundings, x, dy)
            .check(
                tape,
                (own, in) -> RmsNormOp.apply(own, in.narrow(1, 2, columns), weight, 1e-5, addsOne));
      }
    }
  }

  /** The norm of w·dy/|x|. */
  private static double terms(Tensor x, Tensor weight, Tensor dy, boolean addsOne) {
    long[] groups = {x.size(0), -1, weight.size(0)};
    Tensor squares =
        x.reshape(groups).square().mean(new long[] {2}, true, new ScalarTypeOptional());
    Tensor factor = weight.to(torch.ScalarType.Float).add(new Scalar(addsOne ? 1.0 : 0.0));
    return dy.reshape(groups)
        .mul(factor)
        .mul(squares.add(new Scalar(1e-5)).rsqrt())
        .norm()
        .item_double();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 2, 1, false", "2, 9, 3, 10, 5, true", "3, 5, 2, 40, 9, true"})
  void rotary(int sequences, int tokens, int heads, int size, int n, boolean packed) {
    int positions = tokens + 4;
    int[] starts = random.ints(sequences * tokens, 0, 3).toArray();
    for (torch.ScalarType type : TYPES) {
      try (PointerScope scope = new PointerScope();
          Tape tape = new Tape()) {
        Tensor angles = RandomTensors.normal(positions, n).mul_(new Scalar(3.0));
        RotaryOp.Rotation rotation =
            new RotaryOp.Rotation(
                sequences,
                heads,
                size,
                new RotaryOp.Angles(angles.cos(), angles.sin()),
                packed ? 2 : 0,
                packed ? Tensor.create(starts, starts.length) : null);
        Tensor x = RandomTensors.normal((long) sequences * tokens, (long) heads * size + 7);
        // Two products and their sum.
        OpComparison.Roundings roundings = new OpComparison.Roundings(3, 1);
        new OpComparison(type, roundings, x, RandomTensors.normal(x.size(0), x.size(1)))
            .check(tape, (own, in) -> RotaryOp.apply(own, in, rotation));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Gate.class)
  void gates(Gate gate) {
    for (torch.ScalarType type : TYPES) {
      for (int width : new int[] {1, 19, 64}) {
        try (PointerScope scope = new PointerScope();
            Tape tape = new Tape()) {
          Tensor gateUp = RandomTensors.normal(6, 2L * width).mul_(new Scalar(3.0));
          // An activation is z times, and its slope, a sum of terms of at most 1 that may cancel.
          Tensor dy = RandomTensors.normal(6, width);
          Tensor z = gateUp.narrow(1, 0, width);
          Tensor up = gateUp.narrow(1, width, width);
          double ofGradient = dy.mul(up).norm().item_double() + dy.mul(z).norm().item_double();
          OpComparison.Roundings roundings =
              new OpComparison.Roundings(OTHERS, 1, z.mul(up).norm().item_double(), ofGradient);
          new OpComparison(type, roundings, gateUp, dy)
              .check(tape, (own, in) -> GatedActivationOp.apply(own, gate, in));
        }
      }
    }
  }
}
