package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.kernels.DropoutMask.mask;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The products of a LoRA module that are calls of their own. */
class LinearLoraTest extends CpuTest {
  @Test
  void libTorchIsNotOnTheClassPath() {
    assertThrows(ClassNotFoundException.class, () -> Class.forName("org.bytedeco.pytorch.Tensor"));
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1, 0", "1, 19, 3, 2, 5", "19, 99, 5, 8, 3", "67, 131, 32, 7, 0"})
  void downIsTheScaledProductOfEachModule(int m, int k, int r, int r2, int gap) {
    Buffer x = Buffer.random(random, m, k, k + gap);
    Buffer a = Buffer.random(random, r, k, k + gap);
    Buffer a2 = Buffer.random(random, r2, k, k + 2 * gap);
    Buffer s = Buffer.poisoned(m, r, r + gap);
    Buffer s2 = Buffer.poisoned(m, r2, r2 + 1);

    Linear.down(context, x.matrix(), List.of(forward(a, 0.5f, null, s), forward(a2, 2, null, s2)));

    double gamma = Estimate.gamma(k);
    s.assertHolds(x.estimate().times(a.estimate().transposed(), gamma).scaled(0.5), "s");
    s2.assertHolds(x.estimate().times(a2.estimate().transposed(), gamma).scaled(2), "s2");
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 0", "3, 19, 5, 2", "67, 99, 32, 3"})
  void upAddsTheProduct(int m, int n, int r, int gap) {
    Buffer s = Buffer.random(random, m, r, r + gap);
    Buffer b = Buffer.random(random, n, r, r + 2 * gap);
    Buffer y = Buffer.random(random, m, n, n + gap);
    double gamma = Estimate.gamma(r);
    Estimate added = s.estimate().times(b.estimate().transposed(), gamma);
    Estimate expected = y.estimate().plus(added, gamma);

    LoraModule<Matrix> module = new LoraModule<>(null, b.matrix(), 1);
    Linear.up(context, List.of(new LoraPass(module, s.matrix())), y.matrix());

    y.assertHolds(expected, "y");
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 0", "3, 19, 5, 2", "67, 99, 32, 3"})
  void gradUpIsTheGradientOfUp(int m, int n, int r, int gap) {
    Buffer dy = Buffer.random(random, m, n, n + gap);
    Buffer b = Buffer.random(random, n, r, r + gap);
    Buffer s = Buffer.random(random, m, r, r + 2 * gap);
    Buffer ds = Buffer.poisoned(m, r, r + gap);
    Buffer db = Buffer.poisoned(n, r, r + gap);
    double gamma = Estimate.gamma(Math.max(m, n));
    Estimate gradient = dy.estimate().transposed().times(s.estimate(), gamma);

    LoraModule<Matrix> module = new LoraModule<>(null, b.matrix(), 0.25f);
    LoraPass pass = new LoraPass(module, s.matrix(), ds.matrix(), null, db.matrix());
    Linear.gradUp(context, dy.matrix(), List.of(pass));

    ds.assertHolds(dy.estimate().times(b.estimate(), gamma).scaled(0.25), "ds");
    db.assertHolds(gradient, "db");

    LoraPass withoutDs = new LoraPass(module, s.matrix(), null, null, db.matrix());
    Linear.gradUp(context, dy.matrix(), List.of(withoutDs));

    db.assertHolds(gradient, "db without ds");
  }

  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1, 0", "3, 19, 5, 2, 2", "67, 131, 32, 7, 3"})
  void gradientsOfDownAreThoseOfTheProduct(int m, int k, int r, int r2, int gap) {
    Backward backward = new Backward(m, k, r, r2, gap, null, null);
    backward.check(ones(m, k), ones(m, k));
  }

  @Test
  void downAndItsGradientsDrawTheSameMaskOfEachModulesOwnDropout() {
    int m = 21;
    int k = 43;
    Dropout dropout = new Dropout(0.5f, 1234567890123L, 4, 17, 3);
    Dropout dropout2 = new Dropout(0.25f, 1234567890123L, 9, 17, 3);
    double[][] mask = mask(m, k, dropout);
    double[][] mask2 = mask(m, k, dropout2);

    Buffer x = Buffer.random(random, m, k, k + 2);
    Buffer a = Buffer.random(random, 5, k);
    Buffer a2 = Buffer.random(random, 3, k);
    Buffer s = Buffer.poisoned(m, 5);
    Buffer s2 = Buffer.poisoned(m, 3);
    Linear.down(
        context, x.matrix(), List.of(forward(a, 1.5f, dropout, s), forward(a2, 1, dropout2, s2)));
    double gamma = Estimate.gamma(k);
    Estimate in = x.estimate();
    s.assertHolds(in.elementwise(mask).times(a.estimate().transposed(), gamma).scaled(1.5), "s");
    s2.assertHolds(in.elementwise(mask2).times(a2.estimate().transposed(), gamma), "s2");

    new Backward(m, k, 5, 3, 2, dropout, dropout2).check(mask, mask2);
  }

  @Test
  void masksKeepTwiceTheInputInHalfOfThePlacesAndDifferByStepAndModule() {
    int m = 40;
    int k = 50;
    double[][] mask = mask(m, k, new Dropout(0.5f, 7, 0, 1, 0));
    long kept = Arrays.stream(mask).flatMapToDouble(Arrays::stream).filter(v -> v != 0).count();

    assertTrue(Arrays.stream(mask).flatMapToDouble(Arrays::stream).allMatch(v -> v == 0 || v == 2));
    // 5 standard deviations of 2,000 draws.
    assertEquals(m * k / 2, kept, 112);
    assertTrue(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 0, 1, 0))));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 1, 1, 0))));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 0, 2, 0))));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 7, 0, 1, 1))));
    assertFalse(Arrays.deepEquals(mask, mask(m, k, new Dropout(0.5f, 8, 0, 1, 0))));
  }

  @Test
  void shapesThatDisagreeAreNamed() {
    Matrix x = Buffer.random(random, 3, 7).matrix();
    Matrix a = Buffer.random(random, 2, 6).matrix();
    Matrix s = Buffer.poisoned(3, 2).matrix();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Linear.down(context, x, List.of(new LoraPass(new LoraModule<>(a, null, 1), s))));
    assertEquals("a must be FLOAT32 [2, 7], got FLOAT32 [2, 6]", e.getMessage());
  }

  @Test
  void noModulesAreNoWork() {
    Matrix x = Buffer.random(random, 3, 7).matrix();
    Buffer y = Buffer.filled(2, 3, 7, 7);
    Linear.down(context, x, List.of());
    Linear.up(context, List.of(), y.matrix());
    y.assertHolds(Buffer.filled(2, 3, 7, 7).estimate(), "y");
  }

  @Test
  void moduleWithoutTheMatrixThatACallNeedsIsNamed() {
    Matrix x = Buffer.random(random, 3, 7).matrix();
    Matrix s = Buffer.random(random, 3, 2).matrix();
    LoraModule<Matrix> module = new LoraModule<>(null, null, 1);
    List<LoraPass> passes = List.of(new LoraPass(module, s, s, null, null));
    IllegalArgumentException noA =
        assertThrows(IllegalArgumentException.class, () -> Linear.down(context, x, passes));
    assertEquals("a must be given for this call, got null", noA.getMessage());
    IllegalArgumentException noDa =
        assertThrows(IllegalArgumentException.class, () -> Linear.gradDown(context, x, passes));
    assertEquals("da must be given for this call, got null", noDa.getMessage());
  }

  private static LoraPass forward(Buffer a, float scale, Dropout dropout, Buffer s) {
    return new LoraPass(new LoraModule<>(a.matrix(), null, 0, null, scale, dropout), s.matrix());
  }

  private static LoraPass backward(Buffer a, Dropout dropout, Buffer ds, Buffer da) {
    LoraModule<Matrix> module = new LoraModule<>(a.matrix(), null, 0, null, 1, dropout);
    return new LoraPass(module, null, ds.matrix(), da.matrix(), null);
  }

  private static double[][] ones(int rows, int cols) {
    return Buffer.filled(1, rows, cols, cols).values();
  }

  /** gradDown and addGradInput of two modules. */
  private final class Backward {
    private final Dropout dropout;
    private final Dropout dropout2;
    private final Buffer x;
    private final Buffer dx;
    private final Buffer a;
    private final Buffer a2;
    private final Buffer ds;
    private final Buffer ds2;
    private final Buffer da;
    private final Buffer da2;

    Backward(int m, int k, int r, int r2, int gap, Dropout dropout, Dropout dropout2) {
      this.dropout = dropout;
      this.dropout2 = dropout2;
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
      List<LoraPass> passes =
          List.of(backward(a, dropout, ds, da), backward(a2, dropout2, ds2, da2));
      // Over rows, or over both ranks.
      double gamma = Estimate.gamma(Math.max(mask.length, a.values().length + a2.values().length));
      Estimate in = x.estimate();
      Estimate gradient = ds.estimate().transposed().times(in.elementwise(mask), gamma);
      Estimate gradient2 = ds2.estimate().transposed().times(in.elementwise(mask2), gamma);
      Estimate input = ds.estimate().times(a.estimate(), gamma).elementwise(mask);
      Estimate input2 = ds2.estimate().times(a2.estimate(), gamma).elementwise(mask2);
      Estimate expectedDx = dx.estimate().plus(input.plus(input2, gamma), gamma);

      Linear.gradDown(context, x.matrix(), passes);
      da.assertHolds(gradient, "da");
      da2.assertHolds(gradient2, "da2");

      Linear.addGradInput(context, passes, dx.matrix());
      dx.assertHolds(expectedDx, "dx");
    }
  }
}
