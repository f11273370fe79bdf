package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;

/** Calls in bfloat16 whose trained weights are float32. */
class Bfloat16Test extends CpuTest {
  /** A dense matrix of bfloat16. */
  private record Rounded(int rows, int cols, ShortPointer memory) {
    static Rounded random(Random random, int rows, int cols) {
      short[] bits = new short[rows * cols];
      for (int i = 0; i < bits.length; i++) {
        bits[i] = (short) (Float.floatToIntBits(2 * random.nextFloat() - 1) >>> 16);
      }
      return new Rounded(rows, cols, new ShortPointer(bits));
    }

    Matrix matrix() {
      return new Matrix(memory, DType.BFLOAT16, rows, cols, cols);
    }

    double[][] values() {
      double[][] values = new double[rows][cols];
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
          values[i][j] = Float.intBitsToFloat(memory.get((long) i * cols + j) << 16);
        }
      }
      return values;
    }

    Estimate estimate() {
      return Estimate.exact(values(), cols);
    }

    void assertHolds(Estimate expected, String name) {
      expected.rounded(DType.BFLOAT16).assertHolds(values(), name);
    }
  }

  @Test
  void aLinearWithAModuleAndItsGradients() {
    int m = 37;
    int n = 51;
    int k = 45;
    int r = 7;
    Rounded x = Rounded.random(random, m, k);
    Rounded w = Rounded.random(random, n, k);
    Rounded bias = Rounded.random(random, 1, n);
    Buffer a = Buffer.random(random, r, k);
    Buffer b = Buffer.random(random, n, r);
    Buffer s = Buffer.poisoned(m, r);
    Rounded y = Rounded.random(random, m, n);
    Rounded dx = Rounded.random(random, m, k);
    Rounded dy = Rounded.random(random, m, n);
    Buffer ds = Buffer.poisoned(m, r);
    Buffer da = Buffer.poisoned(r, k);
    Buffer db = Buffer.poisoned(n, r);
    LoraPass pass =
        new LoraPass(
            new LoraModule<>(a.matrix(), b.matrix(), 0.5f),
            s.matrix(),
            ds.matrix(),
            da.matrix(),
            db.matrix());
    List<LoraPass> passes = List.of(pass);
    try (Linear linear = new Linear(context, w.matrix(), bias.matrix())) {
      linear.forward(context, x.matrix(), passes, y.matrix());
      Linear.gradUp(context, dy.matrix(), passes);
      Linear.gradDown(context, x.matrix(), passes);
      linear.gradInput(context, dy.matrix(), passes, dx.matrix());
    }
    double gamma = Estimate.gamma(Math.max(m, Math.max(n, k) + r));
    Estimate in = x.estimate();
    Estimate out = dy.estimate();
    Estimate rank = in.times(operand(a).transposed(), gamma).scaled(0.5);
    Estimate rankGradient = out.times(operand(b), gamma).scaled(0.5);
    s.assertHolds(rank, "s");
    y.assertHolds(
        in.times(w.estimate().transposed(), gamma)
            .plusRow(bias.estimate(), gamma)
            .plus(operand(rank).times(operand(b).transposed(), gamma), gamma),
        "y");
    ds.assertHolds(rankGradient, "ds");
    db.assertHolds(out.transposed().times(operand(rank), gamma), "db");
    da.assertHolds(operand(rankGradient).transposed().times(in, gamma), "da");
    Estimate frozen = out.times(w.estimate(), gamma);
    dx.assertHolds(frozen.plus(operand(rankGradient).times(operand(a), gamma), gamma), "dx");
  }

  /** What is float32 is rounded before it is multiplied. */
  private static Estimate operand(Estimate of) {
    return of.rounded(DType.BFLOAT16);
  }

  private static Estimate operand(Buffer of) {
    return operand(of.estimate());
  }

  @Test
  void anAdapterAndItsGradients() {
    int m = 50;
    int k = 33;
    int width = 9;
    Rounded v = Rounded.random(random, m, k);
    Rounded h = Rounded.random(random, m, k);
    Rounded out = Rounded.random(random, m, k);
    Rounded dout = Rounded.random(random, m, k);
    Rounded dv = Rounded.random(random, m, k);
    Buffer z = Buffer.poisoned(m, width);
    Buffer down = Buffer.random(random, width, k);
    Buffer downBias = Buffer.random(random, 1, width);
    Buffer up = Buffer.random(random, k, width);
    Buffer upBias = Buffer.random(random, 1, k);
    Adapter.Weights weights =
        new Adapter.Weights(
            down.matrix(), downBias.matrix(), up.matrix(), upBias.matrix(), Activation.IDENTITY);
    Buffer[] gradients = {
      Buffer.poisoned(width, k),
      Buffer.poisoned(1, width),
      Buffer.poisoned(k, width),
      Buffer.poisoned(1, k)
    };
    Adapter.Pass pass = new Adapter.Pass(weights, v.matrix(), z.matrix());
    Adapter.forward(context, pass, h.matrix(), out.matrix());
    Adapter.backward(
        context,
        pass,
        dout.matrix(),
        new Adapter.Gradients(
            gradients[0].matrix(),
            gradients[1].matrix(),
            gradients[2].matrix(),
            gradients[3].matrix()),
        dv.matrix());
    double gamma = Estimate.gamma(Math.max(m, Math.max(k, width)));
    Estimate in = v.estimate();
    Estimate back = dout.estimate();
    Estimate hidden =
        in.times(operand(down).transposed(), gamma).plusRow(downBias.estimate(), gamma);
    Estimate hiddenGradient = back.times(operand(up), gamma);
    z.assertHolds(hidden, "z");
    Estimate added =
        operand(hidden).times(operand(up).transposed(), gamma).plusRow(upBias.estimate(), gamma);
    out.assertHolds(h.estimate().plus(added, gamma), "out");
    gradients[0].assertHolds(operand(hiddenGradient).transposed().times(in, gamma), "dD");
    gradients[1].assertHolds(operand(hiddenGradient).columnSums(gamma), "dd");
    gradients[2].assertHolds(back.transposed().times(operand(hidden), gamma), "dU");
    gradients[3].assertHolds(back.columnSums(gamma), "du");
    dv.assertHolds(operand(hiddenGradient).times(operand(down), gamma), "dv");
  }

  @Test
  void modulesInBfloat16AreRefused() {
    Rounded x = Rounded.random(random, 3, 4);
    Rounded w = Rounded.random(random, 5, 4);
    Rounded y = Rounded.random(random, 3, 5);
    Rounded a = Rounded.random(random, 2, 4);
    Buffer b = Buffer.random(random, 5, 2);
    Buffer s = Buffer.poisoned(3, 2);
    try (Linear linear = new Linear(context, w.matrix(), null)) {
      LoraPass pass = new LoraPass(new LoraModule<>(a.matrix(), b.matrix(), 1), s.matrix());
      IllegalArgumentException refused =
          assertThrows(
              IllegalArgumentException.class,
              () -> linear.forward(context, x.matrix(), List.of(pass), y.matrix()));
      assertTrue(refused.getMessage().contains("a must be FLOAT32 [2, 4], got BFLOAT16"));
    }
  }
}
