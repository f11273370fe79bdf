package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.kernels.DropoutMask.mask;
import static org.prunepeft.kernels.Reference.elementwise;
import static org.prunepeft.kernels.Reference.product;
import static org.prunepeft.kernels.Reference.scaled;
import static org.prunepeft.kernels.Reference.sum;
import static org.prunepeft.kernels.Reference.transposed;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.testing.TestSeed;

class LoraKernelsTest {
  private static final Device CPU = Device.cpu();

  private final Random random = TestSeed.random();
  private final Workspace workspace = new Workspace();

  @AfterEach
  void closeWorkspace() {
    workspace.close();
  }

  @Test
  void libTorchIsNotOnTheClassPath() {
    assertThrows(ClassNotFoundException.class, () -> Class.forName("org.bytedeco.pytorch.Tensor"));
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1, 0", "1, 19, 3, 2, 5", "19, 99, 5, 8, 3", "67, 131, 32, 7, 0"})
  void downIsTheScaledProductOfEachBranch(int m, int k, int r, int r2, int gap) {
    Buffer x = Buffer.random(random, m, k, k + gap);
    Buffer a = Buffer.random(random, r, k, k + gap);
    Buffer a2 = Buffer.random(random, r2, k, k + 2 * gap);
    Buffer s = Buffer.poisoned(m, r, r + gap);
    Buffer s2 = Buffer.poisoned(m, r2, r2 + 1);
    Buffer copy = Buffer.poisoned(m, k, k + 2 * gap);
    List<LoraBranch> branches =
        List.of(
            new LoraBranch(a.matrix(), 0.5f, 0, s.matrix(), null),
            new LoraBranch(a2.matrix(), 2f, 1, s2.matrix(), null));

    LoraKernels.down(CPU, x.matrix(), branches, null, copy.matrix(), workspace);

    s.assertEqualTo(scaled(0.5, product(x.values(), transposed(a.values()))), "s");
    s2.assertEqualTo(scaled(2, product(x.values(), transposed(a2.values()))), "s2");
    copy.assertEqualTo(x.values(), "copy of x");
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 0", "3, 19, 5, 2", "67, 99, 32, 3"})
  void upAddsTheProduct(int m, int n, int r, int gap) {
    Buffer s = Buffer.random(random, m, r, r + gap);
    Buffer b = Buffer.random(random, n, r, r + 2 * gap);
    Buffer y = Buffer.random(random, m, n, n + gap);
    double[][] expected = sum(y.values(), product(s.values(), transposed(b.values())));

    LoraKernels.up(CPU, s.matrix(), b.matrix(), y.matrix(), workspace);

    y.assertEqualTo(expected, "y");
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 0", "3, 19, 5, 2", "67, 99, 32, 3"})
  void gradUpIsTheGradientOfUp(int m, int n, int r, int gap) {
    Buffer dy = Buffer.random(random, m, n, n + gap);
    Buffer b = Buffer.random(random, n, r, r + gap);
    Buffer s = Buffer.random(random, m, r, r + 2 * gap);
    Buffer ds = Buffer.poisoned(m, r, r + gap);
    Buffer db = Buffer.poisoned(n, r, r + gap);
    double[][] gradient = product(transposed(dy.values()), s.values());

    LoraKernels.gradUp(
        CPU,
        dy.matrix(),
        b.matrix(),
        s.matrix(),
        0.25f,
        ds.matrix(),
        db.matrix(),
        false,
        workspace);

    ds.assertEqualTo(scaled(0.25, product(dy.values(), b.values())), "ds");
    db.assertEqualTo(gradient, "db");

    LoraKernels.gradUp(
        CPU, dy.matrix(), b.matrix(), s.matrix(), 0.25f, null, db.matrix(), true, workspace);

    db.assertEqualTo(scaled(2, gradient), "db after a second, accumulated call");
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1, 0", "3, 19, 5, 2, 2", "67, 131, 32, 7, 3"})
  void gradientsOfDownAreThoseOfTheProduct(int m, int k, int r, int r2, int gap) {
    Backward backward = new Backward(m, k, r, r2, gap, null);
    backward.check(ones(m, k), ones(m, k));
  }

  @Test
  void downAndItsGradientsDrawTheSameMask() {
    int m = 21;
    int k = 43;
    Dropout dropout = new Dropout(0.5f, 1234567890123L, 17, 3);
    double[][] mask = mask(m, k, dropout, 4);
    double[][] mask2 = mask(m, k, dropout, 9);

    Buffer x = Buffer.random(random, m, k, k + 2);
    Buffer a = Buffer.random(random, 5, k);
    Buffer a2 = Buffer.random(random, 3, k);
    Buffer s = Buffer.poisoned(m, 5);
    Buffer s2 = Buffer.poisoned(m, 3);
    LoraKernels.down(
        CPU,
        x.matrix(),
        List.of(
            new LoraBranch(a.matrix(), 1.5f, 4, s.matrix(), null),
            new LoraBranch(a2.matrix(), 1f, 9, s2.matrix(), null)),
        dropout,
        null,
        workspace);
    s.assertEqualTo(
        scaled(1.5, product(elementwise(mask, x.values()), transposed(a.values()))), "s");
    s2.assertEqualTo(product(elementwise(mask2, x.values()), transposed(a2.values())), "s2");

    new Backward(m, k, 5, 3, 2, dropout).check(mask, mask2);
  }

  @Test
  void masksKeepTwiceTheInputInHalfOfThePlacesAndDifferByStepAndModule() {
    int m = 40;
    int k = 50;
    double[][] mask = mask(m, k, new Dropout(0.5f, 7, 1, 0), 0);
    long kept = Arrays.stream(mask).flatMapToDouble(Arrays::stream).filter(v -> v != 0).count();

    assertTrue(Arrays.stream(mask).flatMapToDouble(Arrays::stream).allMatch(v -> v == 0 || v == 2));
    // 5 standard deviations of 2,000 draws.
    assertEquals(m * k / 2, kept, 112);
    assertTrue(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 1, 0), 0)));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 1, 0), 1)));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 2, 0), 0)));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 1, 1), 0)));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 8, 1, 0), 0)));
  }

  @Test
  void shapesThatDisagreeAreNamed() {
    Matrix x = Buffer.random(random, 3, 7).matrix();
    Matrix a = Buffer.random(random, 2, 6).matrix();
    Matrix s = Buffer.poisoned(3, 2).matrix();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                LoraKernels.down(
                    CPU, x, List.of(new LoraBranch(a, 1, 0, s, null)), null, null, workspace));
    assertEquals("a must be FLOAT32 [2, 7], got FLOAT32 [2, 6]", e.getMessage());
  }

  @Test
  void noBranchesAreRefused() {
    Matrix x = Buffer.random(random, 3, 7).matrix();
    assertThrows(
        KernelException.class, () -> LoraKernels.down(CPU, x, List.of(), null, null, workspace));
  }

  @Test
  void branchWithoutTheMatrixThatACallNeedsIsNamed() {
    Matrix x = Buffer.random(random, 3, 7).matrix();
    Matrix s = Buffer.random(random, 3, 2).matrix();
    List<LoraBranch> branches = List.of(new LoraBranch(null, 1, 0, s, null));
    IllegalArgumentException noA =
        assertThrows(
            IllegalArgumentException.class,
            () -> LoraKernels.down(CPU, x, branches, null, null, workspace));
    assertEquals("a must be given for this call, got null", noA.getMessage());
    IllegalArgumentException noDa =
        assertThrows(
            IllegalArgumentException.class,
            () -> LoraKernels.gradDown(CPU, x, branches, null, false, workspace));
    assertEquals("da must be given for this call, got null", noDa.getMessage());
  }

  private static double[][] ones(int rows, int cols) {
    return Buffer.filled(1, rows, cols, cols).values();
  }

  /** gradDown and gradInput of two branches, modules 4 and 9. */
  private final class Backward {
    private final Dropout dropout;
    private final Buffer x;
    private final Buffer dx;
    private final Buffer a;
    private final Buffer a2;
    private final Buffer ds;
    private final Buffer ds2;
    private final Buffer da;
    private final Buffer da2;

    Backward(int m, int k, int r, int r2, int gap, Dropout dropout) {
      this.dropout = dropout;
      x = Buffer.random(random, m, k, k + gap);
      dx = Buffer.random(random, m, k, k + 2 * gap);
      a = Buffer.random(random, r, k, k + gap);
      a2 = Buffer.random(random, r2, k, k + gap);
      ds = Buffer.random(random, m, r, r + gap);
      ds2 = Buffer.random(random, m, r2, r2 + gap);
      da = Buffer.poisoned(r, k, k + gap);
      da2 = Buffer.poisoned(r2, k, k + gap);
    }

    void check(double[][] mask, double[][] mask2) {
      List<LoraBranch> branches =
          List.of(
              new LoraBranch(a.matrix(), 1, 4, ds.matrix(), da.matrix()),
              new LoraBranch(a2.matrix(), 1, 9, ds2.matrix(), da2.matrix()));
      double[][] gradient = product(transposed(ds.values()), elementwise(mask, x.values()));
      double[][] gradient2 = product(transposed(ds2.values()), elementwise(mask2, x.values()));
      double[][] input = elementwise(mask, product(ds.values(), a.values()));
      double[][] input2 = elementwise(mask2, product(ds2.values(), a2.values()));
      double[][] expectedDx = sum(dx.values(), sum(input, input2));

      LoraKernels.gradDown(CPU, x.matrix(), branches, dropout, false, workspace);
      da.assertEqualTo(gradient, "da");
      da2.assertEqualTo(gradient2, "da2");

      LoraKernels.gradDown(CPU, x.matrix(), branches, dropout, true, workspace);
      da.assertEqualTo(scaled(2, gradient), "da after a second, accumulated call");

      LoraKernels.gradInput(CPU, branches, dropout, dx.matrix(), workspace);
      dx.assertEqualTo(expectedDx, "dx");
    }
  }
}
