package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.kernels.Reference.columnSums;
import static org.prunepeft.kernels.Reference.plusRow;
import static org.prunepeft.kernels.Reference.product;
import static org.prunepeft.kernels.Reference.scaled;
import static org.prunepeft.kernels.Reference.sum;
import static org.prunepeft.kernels.Reference.transposed;

import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.ShortPointer;
import org.junit.jupiter.api.Test;

/** Calls in bfloat16 whose trained weights are float32. */
class Bfloat16Test extends CpuTest {
  /** Of the largest value: some roundings of relative 2⁻⁹. */
  private static final double SHARE = 1e-2;

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

    void assertNear(double[][] expected, String name) {
      Buffer.assertNear(expected, values(), SHARE, name);
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
    double[][] rank = scaled(0.5, product(x.values(), transposed(a.values())));
    double[][] rankGradient = scaled(0.5, product(dy.values(), b.values()));
    Buffer.assertNear(rank, s.values(), SHARE, "s");
    y.assertNear(
        sum(
            plusRow(product(x.values(), transposed(w.values())), bias.values()),
            product(rank, transposed(b.values()))),
        "y");
    Buffer.assertNear(rankGradient, ds.values(), SHARE, "ds");
    Buffer.assertNear(product(transposed(dy.values()), rank), db.values(), SHARE, "db");
    Buffer.assertNear(product(transposed(rankGradient), x.values()), da.values(), SHARE, "da");
    dx.assertNear(sum(product(dy.values(), w.values()), product(rankGradient, a.values())), "dx");
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
    double[][] hidden = plusRow(product(v.values(), transposed(down.values())), downBias.values());
    double[][] hiddenGradient = product(dout.values(), up.values());
    Buffer.assertNear(hidden, z.values(), SHARE, "z");
    out.assertNear(
        sum(h.values(), plusRow(product(hidden, transposed(up.values())), upBias.values())), "out");
    Buffer.assertNear(
        product(transposed(hiddenGradient), v.values()), gradients[0].values(), SHARE, "dD");
    Buffer.assertNear(columnSums(hiddenGradient), gradients[1].values(), SHARE, "dd");
    Buffer.assertNear(
        product(transposed(dout.values()), hidden), gradients[2].values(), SHARE, "dU");
    Buffer.assertNear(columnSums(dout.values()), gradients[3].values(), SHARE, "du");
    dv.assertNear(product(hiddenGradient, down.values()), "dv");
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
