package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.prunepeft.kernels.Reference.product;
import static org.prunepeft.kernels.Reference.transposed;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.TestSeed;

class LoraLinearTest {
  private static final Device CPU = Device.cpu();

  private final Random random = TestSeed.random();
  private final Workspace workspace = new Workspace();

  @AfterEach
  void closeWorkspace() {
    workspace.close();
  }

  /** Plain loops. */
  private static void multiply(
      Device device, Matrix left, Matrix right, boolean transposed, Matrix out, Workspace unused) {
    double[][] factor = transposed ? transposed(values(right)) : values(right);
    double[][] result = product(values(left), factor);
    FloatPointer memory = new FloatPointer(out.data());
    for (int i = 0; i < result.length; i++) {
      for (int j = 0; j < result[0].length; j++) {
        memory.put(i * out.ld() + j, (float) result[i][j]);
      }
    }
  }

  private static double[][] values(Matrix matrix) {
    double[][] values = new double[(int) matrix.rows()][(int) matrix.cols()];
    FloatPointer memory = new FloatPointer(matrix.data());
    for (int i = 0; i < values.length; i++) {
      for (int j = 0; j < values[0].length; j++) {
        values[i][j] = memory.get(i * matrix.ld() + j);
      }
    }
    return values;
  }

  @Test
  void withoutALibraryOrOnTheCpuThePathIsOurOwn() {
    Dropout dropout = new Dropout(0.1f, 1, 2, 3);
    LoraPath.Both own = new LoraPath.Both(LoraPath.FUSED, LoraPath.FUSED);
    Matrix g = Buffer.random(random, 40, 50).matrix();
    for (MatrixProduct product : new MatrixProduct[] {null, LoraLinearTest::multiply}) {
      try (LoraLinear linear = new LoraLinear(product, g, 4, 1, 0)) {
        assertEquals(own, linear.paths(CPU, 100, null));
        assertEquals(own, linear.paths(CPU, 100, dropout));
      }
    }
  }

  @Test
  void theForwardPassMayGoAnotherWayThanTheBackwardPass() {
    Buffer g = Buffer.random(random, 21, 27);
    Buffer x = Buffer.random(random, 11, 27);
    Buffer dy = Buffer.random(random, 11, 21);
    Buffer y = Buffer.poisoned(11, 16);
    Buffer dx = Buffer.poisoned(11, 22);
    Buffer da = Buffer.poisoned(5, 22);
    Buffer db = Buffer.poisoned(16, 5);
    List<double[][]> results = new ArrayList<>();
    try (LoraLinear linear = new LoraLinear(LoraLinearTest::multiply, g.matrix(), 5, 0.5f, 7)) {
      for (LoraPath forward : LoraPath.values()) {
        for (LoraPath backward : LoraPath.values()) {
          linear.forward(forward, CPU, x.matrix(), null, y.matrix(), workspace);
          linear.backward(
              backward,
              CPU,
              x.matrix(),
              dy.matrix(),
              null,
              dx.matrix(),
              da.matrix(),
              db.matrix(),
              false,
              workspace);
          if (results.isEmpty()) {
            results.addAll(List.of(y.values(), dx.values(), da.values(), db.values()));
          }
          y.assertEqualTo(results.get(0), "y");
          dx.assertEqualTo(results.get(1), "dx");
          da.assertEqualTo(results.get(2), "da");
          db.assertEqualTo(results.get(3), "db");
        }
      }
    }
  }

  @Test
  void whatAPathLacksIsNamed() {
    Matrix g = Buffer.random(random, 5, 6).matrix();
    Matrix x = Buffer.random(random, 3, 6).matrix();
    Matrix dy = Buffer.random(random, 3, 5).matrix();
    Matrix y = Buffer.poisoned(3, 3).matrix();
    Matrix dx = Buffer.poisoned(3, 4).matrix();
    LoraLinear alone = new LoraLinear(null, g, 2, 1, 0);
    IllegalArgumentException product =
        assertThrows(
            IllegalArgumentException.class,
            () -> alone.forward(LoraPath.SPLIT, CPU, x, null, y, workspace));
    assertEquals(
        "the path SPLIT needs a library's product, and there is none; take FUSED",
        product.getMessage());
    LoraLinear linear = new LoraLinear(LoraLinearTest::multiply, g, 2, 1, 0);
    Dropout dropout = new Dropout(0.25f, 1, 2, 3);
    IllegalArgumentException dropped =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                linear.backward(
                    LoraPath.BORDERED, CPU, x, dy, dropout, dx, y, y, false, workspace));
    assertEquals(
        "the bordered backward pass has no dropout, got p = 0.25; take SPLIT or FUSED",
        dropped.getMessage());
  }

  @Test
  void anOptimizerStepReachesTheOperand() {
    Buffer g = Buffer.random(random, 5, 6);
    LoraLinear linear = new LoraLinear(LoraLinearTest::multiply, g.matrix(), 2, 1, 0);
    double[][] w = values(linear.w());
    Buffer weights = Buffer.random(random, 1, 14);
    Buffer gradients = Buffer.filled(1, 1, 14, 14);
    Buffer mean = Buffer.filled(0, 1, 14, 14);
    Buffer square = Buffer.filled(0, 1, 14, 14);
    double[][] expected = Reference.map(weights.values(), v -> v * (1 - 0.1 * 0.5) - 0.1);
    List<WeightCopy> copies = List.of(new WeightCopy(0, linear.a()), new WeightCopy(8, linear.b()));

    try (AdamW adamw = new AdamW(CPU, DType.FLOAT32, 14, copies)) {
      adamw.step(
          CPU,
          AdamW.Settings.of(0.1f, 0.5f, 1),
          weights.matrix(),
          gradients.matrix(),
          mean.matrix(),
          square.matrix());
    }

    weights.assertEqualTo(expected, "weights");
    double[] flat = weights.values()[0];
    double[][] a = values(linear.a());
    double[][] b = values(linear.b());
    for (int i = 0; i < 8; i++) {
      assertEquals(flat[i], a[i / 4][i % 4], "A at " + i);
    }
    for (int i = 0; i < 6; i++) {
      assertEquals(flat[8 + i], b[i / 2][i % 2], "B at " + i);
    }
    assertEquals(Arrays.deepToString(w), Arrays.deepToString(values(linear.w())), "W is frozen");
  }

  @Test
  void aPartThatLiesOutsideIsNamed() {
    Matrix matrix = Buffer.filled(0, 3, 4, 4).matrix();
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> matrix.part(1, 2, 2, 3));
    assertEquals("a part of 2 x 3 from (1, 2) lies outside of 3 x 4", e.getMessage());
  }

  @Test
  void aRankAsLargeAsTheOperandIsNamed() {
    Matrix g = Buffer.filled(0, 3, 4, 4).matrix();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new LoraLinear(LoraLinearTest::multiply, g, 3, 1, 0));
    assertEquals(
        "rank must be at least 1 and less than both extents of G [3, 4], got 3", e.getMessage());
  }
}
