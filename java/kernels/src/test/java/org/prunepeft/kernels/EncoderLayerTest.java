package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.junit.jupiter.api.Test;

class EncoderLayerTest extends CpuTest {
  private static final int SEQUENCES = 2;
  private static final int TOKENS = 5;
  private static final int ROWS = SEQUENCES * TOKENS;
  private static final int HEADS = 3;
  private static final int SIZE = 4;
  private static final int HIDDEN = HEADS * SIZE;
  private static final int INNER = 17;
  private static final double EPSILON = 1e-5;
  private static final int PERTURBATIONS = 4;

  private Buffer of(int rows, int cols) {
    return Buffer.random(random, rows, cols, cols + 1);
  }

  private Buffer row(int cols) {
    return Buffer.random(random, 1, cols);
  }

  /** A layer of a LoRA module and an adapter, and its steps one by one. */
  private final class Case {
    final Buffer x = of(ROWS, HIDDEN);
    final Buffer y = Buffer.poisoned(ROWS, HIDDEN, HIDDEN + 2);
    final Buffer[] w = {
      of(3 * HIDDEN, HIDDEN), of(HIDDEN, HIDDEN), of(INNER, HIDDEN), of(HIDDEN, INNER)
    };
    final Buffer[] b = {row(3 * HIDDEN), row(HIDDEN), row(INNER), row(HIDDEN)};
    final Buffer[] norms = {row(HIDDEN), row(HIDDEN), row(HIDDEN), row(HIDDEN)};
    final Buffer a = of(2, INNER);
    final Buffer up = of(HIDDEN, 2);

    void run(BytePointer mask) {
      try (Linear qkv = linear(0);
          Linear attended = linear(1);
          Linear inner = linear(2);
          Linear out = linear(3)) {
        LoraModule<Matrix> lora = new LoraModule<>(a.matrix(), up.matrix(), 0.5f);
        EncoderLayer layer =
            new EncoderLayer(
                new EncoderLayer.Projection(qkv, List.of()),
                new EncoderLayer.Block(
                    new EncoderLayer.Projection(attended, List.of()), List.of(), norm(0)),
                new EncoderLayer.Projection(inner, List.of()),
                Activation.RELU,
                new EncoderLayer.Block(
                    new EncoderLayer.Projection(out, List.of(lora)), List.of(), norm(2)));
        layer.forward(
            context, new Attention(SEQUENCES, TOKENS, HEADS, SIZE, mask), x.matrix(), y.matrix());
      }
    }

    private Linear linear(int i) {
      return new Linear(context, w[i].matrix(), b[i].matrix());
    }

    private EncoderLayer.Norm norm(int i) {
      return new EncoderLayer.Norm(norms[i].matrix(), norms[i + 1].matrix(), EPSILON);
    }

    /** x Wᵀ + b, each sum off by a share of its magnitudes that is drawn up to {@code most}. */
    private double[][] product(double[][] in, double[][] w, double[] bias, double most) {
      double[][] result = new double[in.length][w.length];
      for (int i = 0; i < in.length; i++) {
        for (int j = 0; j < w.length; j++) {
          double magnitudes = Math.abs(bias[j]);
          result[i][j] = bias[j];
          for (int k = 0; k < w[j].length; k++) {
            result[i][j] += in[i][k] * w[j][k];
            magnitudes += Math.abs(in[i][k] * w[j][k]);
          }
          result[i][j] += most * (2 * random.nextDouble() - 1) * magnitudes;
        }
      }
      return result;
    }

    private double[][] plain(double[][] values, int i, double most) {
      return product(values, w[i].values(), b[i].values()[0], most);
    }

    double[][] expected(byte[] mask, double most) {
      double[][] qkv = plain(x.values(), 0, most);
      double[][] attended = new double[ROWS][HIDDEN];
      for (int i = 0; i < ROWS; i++) {
        int first = i / TOKENS * TOKENS;
        for (int head = 0; head < HEADS; head++) {
          double[] weights = new double[TOKENS];
          double whole = 0;
          for (int j = 0; j < TOKENS; j++) {
            double score = 0;
            for (int c = head * SIZE; c < (head + 1) * SIZE; c++) {
              score += qkv[i][c] * qkv[first + j][HIDDEN + c];
            }
            weights[j] = mask[first + j] == 0 ? 0 : Math.exp(score / Math.sqrt(SIZE));
            whole += weights[j];
          }
          for (int j = 0; j < TOKENS; j++) {
            for (int c = head * SIZE; c < (head + 1) * SIZE; c++) {
              attended[i][c] += weights[j] / whole * qkv[first + j][2 * HIDDEN + c];
            }
          }
        }
      }
      double[][] n = normed(sum(plain(attended, 1, most), x.values()), 0);
      double[][] inner = plain(n, 2, most);
      for (double[] values : inner) {
        for (int c = 0; c < values.length; c++) {
          values[c] = Math.max(0, values[c]);
        }
      }
      double[][] rank = product(inner, a.values(), new double[2], most);
      double[][] scaledUp = up.values();
      for (double[] row : scaledUp) {
        for (int c = 0; c < row.length; c++) {
          row[c] *= 0.5;
        }
      }
      double[][] delta = product(rank, scaledUp, new double[HIDDEN], most);
      double[][] out = sum(plain(inner, 3, most), delta);
      return normed(sum(out, n), 2);
    }

    private static double[][] sum(double[][] a, double[][] b) {
      double[][] result = new double[a.length][a[0].length];
      for (int i = 0; i < a.length; i++) {
        for (int j = 0; j < a[i].length; j++) {
          result[i][j] = a[i][j] + b[i][j];
        }
      }
      return result;
    }

    private double[][] normed(double[][] values, int i) {
      double[] weight = norms[i].values()[0];
      double[] bias = norms[i + 1].values()[0];
      double[][] result = new double[values.length][HIDDEN];
      for (int r = 0; r < values.length; r++) {
        double mean = 0;
        double squares = 0;
        for (double value : values[r]) {
          mean += value / HIDDEN;
        }
        for (double value : values[r]) {
          squares += (value - mean) * (value - mean) / HIDDEN;
        }
        for (int c = 0; c < HIDDEN; c++) {
          result[r][c] = (values[r][c] - mean) / Math.sqrt(squares + EPSILON) * weight[c] + bias[c];
        }
      }
      return result;
    }
  }

  @Test
  void aLayerIsItsSteps() {
    byte[] mask = new byte[ROWS];
    for (int i = 0; i < ROWS; i++) {
      mask[i] = (byte) (i % TOKENS == 0 ? 1 : random.nextInt(2));
    }
    Case one = new Case();
    one.run(new BytePointer(mask));
    double[][] expected = one.expected(mask, 0);
    // What rounding may move is measured: by linears that are off as far as sums of INNER terms
    // are.
    double moved = 0;
    for (int i = 0; i < PERTURBATIONS; i++) {
      double[][] off = one.expected(mask, Estimate.gamma(INNER));
      for (int row = 0; row < ROWS; row++) {
        for (int c = 0; c < HIDDEN; c++) {
          moved = Math.max(moved, Math.abs(off[row][c] - expected[row][c]));
        }
      }
    }
    one.y.assertNear(expected, moved, "y");
  }

  @Test
  void aMaskThatIsTooShortIsRefused() {
    Case one = new Case();
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> one.run(new BytePointer(new byte[ROWS - 1])))
            .getMessage();
    assertEquals("the mask must have 10 bytes, got 9", message);
  }
}
