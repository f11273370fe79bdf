package org.prunepeft.formats;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.checkpoint.OnnxGraph;
import org.prunepeft.checkpoint.OnnxGraph.ElementType;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

/** Operations in 8 bits against float64, each within what rounding allows. */
class OnnxOperationsTest {
  private static final int TOKENS = 5;
  private static final int INPUTS = 67;
  private static final int OUTPUTS = 19;

  @TempDir Path temporary;
  private final Random random = TestSeed.random();

  private static MapCheckpoint weights() {
    Tensor weight = Parts.random(OUTPUTS, INPUTS);
    // A row of zeros has no scale of its own.
    java.util.Arrays.fill(weight.values(), INPUTS, 2 * INPUTS, 0);
    return new MapCheckpoint(
        "random", Map.of("linear.weight", weight, "linear.bias", Parts.random(OUTPUTS)));
  }

  private static double largest(float[] values, int from, int count) {
    double largest = 0;
    for (int i = from; i < from + count; i++) {
      largest = Math.max(largest, Math.abs(values[i]));
    }
    return largest;
  }

  /**
   * Σ x w with |Δw| ≤ s/2, s = max |w| / 127, and |Δx| ≤ t, t the range of x (with 0 in it) by 255:
   * half a step by rounding, half of one by that of the zero point.
   */
  @Test
  void aLinearInEightBitsIsWithinItsSteps() throws IOException {
    MapCheckpoint weights = weights();
    OnnxGraph graph = new OnnxGraph();
    OnnxOperations nodes = new OnnxOperations(graph);
    String x = graph.input("ids", ElementType.INT64, "batch", "sequence");
    // Numbers of tokens as inputs: a table gives each its row.
    Tensor table = Parts.random(TOKENS, INPUTS);
    MapCheckpoint tables = new MapCheckpoint("table", Map.of("table", table));
    String rows = nodes.embedding(tables, "table", x);
    graph.output("y", nodes.int8Linear(weights, "linear", rows), "batch", "sequence", OUTPUTS);
    graph.write(temporary.resolve("linear.onnx"), false);
    long[][] ids = new long[1][TOKENS];
    for (int i = 0; i < TOKENS; i++) {
      ids[0][i] = i;
    }
    try (OnnxSession session = OnnxSession.open(temporary.resolve("linear.onnx"))) {
      float[][][] y = session.input("ids", ids).run("y");
      float low = 0;
      float high = 0;
      for (float value : table.values()) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      double step = (high - low) / 255;
      float[] w = weights.tensors().get("linear.weight").values();
      float[] b = weights.tensors().get("linear.bias").values();
      double worst = 0;
      for (int token = 0; token < TOKENS; token++) {
        for (int out = 0; out < OUTPUTS; out++) {
          double half = largest(w, out * INPUTS, INPUTS) / 254;
          double expected = b[out];
          // Steps, their products and the bias are rounded; 8-bit products are summed exactly.
          double magnitudes = Math.abs(b[out]);
          double bound = 0;
          for (int k = 0; k < INPUTS; k++) {
            double input = table.values()[token * INPUTS + k];
            double weight = w[out * INPUTS + k];
            expected += input * weight;
            bound += Math.abs(input) * half + Math.abs(weight) * step + step * half;
            magnitudes += Math.abs(input * weight);
          }
          bound += Rounding.gamma(8, Rounding.FLOAT32) * (magnitudes + bound);
          String place = "token " + token + ", output " + out;
          Rounding.assertNear(expected, y[0][token][out], bound, place);
          worst = Math.max(worst, Math.abs(expected - y[0][token][out]));
          if (out == 1) {
            assertEquals(b[out], y[0][token][out], "the row of zeros");
          }
        }
      }
      assertTrue(worst > 1e-4, "nothing was rounded");
    }
  }

  @Test
  void aTableInEightBitsIsWithinHalfAStepOfEachRow() throws IOException {
    MapCheckpoint weights = weights();
    OnnxGraph graph = new OnnxGraph();
    OnnxOperations nodes = new OnnxOperations(graph);
    String ids = graph.input("ids", ElementType.INT64, "batch", "sequence");
    graph.output(
        "y", nodes.int8Embedding(weights, "linear.weight", ids), "batch", "sequence", INPUTS);
    graph.write(temporary.resolve("table.onnx"), false);
    long[][] asked = new long[3][2];
    for (long[] row : asked) {
      row[0] = random.nextInt(OUTPUTS);
      row[1] = 1;
    }
    float[] table = weights.tensors().get("linear.weight").values();
    try (OnnxSession session = OnnxSession.open(temporary.resolve("table.onnx"))) {
      float[][][] y = session.input("ids", asked).run("y");
      for (int i = 0; i < asked.length; i++) {
        for (int j = 0; j < 2; j++) {
          int row = (int) asked[i][j];
          double half = largest(table, row * INPUTS, INPUTS) / 254;
          for (int k = 0; k < INPUTS; k++) {
            // The step, what it divides and what it multiplies are rounded, of 127 steps at most.
            double rounded = 254 * half * Rounding.gamma(3, Rounding.FLOAT32);
            Rounding.assertNear(table[row * INPUTS + k], y[i][j][k], half + rounded, "row " + row);
          }
        }
      }
    }
  }
}
