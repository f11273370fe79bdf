package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LinearTest extends CpuTest {
  @ParameterizedTest
  @CsvSource({"1, 1, 1, 1, 0", "5, 19, 23, 3, 2", "67, 131, 99, 32, 3", "130, 40, 200, 8, 0"})
  void forwardAndItsGradient(int m, int n, int k, int r, int gap) {
    Buffer x = Buffer.random(random, m, k, k + gap);
    Buffer w = Buffer.random(random, n, k, k + gap);
    Buffer bias = Buffer.random(random, 1, n, n);
    Buffer a = Buffer.random(random, r, k, k + gap);
    Buffer b = Buffer.random(random, n, r, r + gap);
    Buffer s = Buffer.poisoned(m, r, r + gap);
    Buffer y = Buffer.poisoned(m, n, n + gap);
    // A row of y sums up over k and r, one of dX over n and r, one of dB over m.
    double gamma = Estimate.gamma(Math.max(m, Math.max(n, k) + r));
    Estimate in = x.estimate();
    Estimate frozen = in.times(w.estimate().transposed(), gamma).plusRow(bias.estimate(), gamma);
    Estimate rank = in.times(a.estimate().transposed(), gamma).scaled(0.5);
    try (Linear linear = new Linear(context, w.matrix(), bias.matrix())) {
      linear.forward(context, x.matrix(), List.of(), y.matrix());
      y.assertHolds(frozen, "y without modules");

      LoraModule<Matrix> module = new LoraModule<>(a.matrix(), b.matrix(), 0.5f);
      linear.forward(context, x.matrix(), List.of(new LoraPass(module, s.matrix())), y.matrix());
      s.assertHolds(rank, "s");
      Estimate delta = rank.times(b.estimate().transposed(), gamma);
      y.assertHolds(frozen.plus(delta, gamma), "y");

      Buffer dy = Buffer.random(random, m, n, n + gap);
      Buffer ds = Buffer.random(random, m, r, r + gap);
      Buffer dx = Buffer.poisoned(m, k, k + gap);
      LoraPass back = new LoraPass(module, null, ds.matrix(), null, null);
      linear.gradInput(context, dy.matrix(), List.of(back), dx.matrix());
      Estimate out = dy.estimate();
      Estimate frozenDx = out.times(w.estimate(), gamma);
      dx.assertHolds(frozenDx.plus(ds.estimate().times(a.estimate(), gamma), gamma), "dx");

      Buffer made = Buffer.poisoned(m, r, r + gap);
      Buffer db = Buffer.poisoned(n, r, r + gap);
      LoraPass all = new LoraPass(module, s.matrix(), made.matrix(), null, db.matrix());
      linear.backward(context, dy.matrix(), List.of(all), dx.matrix());
      made.assertHolds(out.times(b.estimate(), gamma).scaled(0.5), "ds");
      db.assertHolds(out.transposed().times(s.estimate(), gamma), "db");
      dx.assertHolds(
          frozenDx.plus(made.estimate().times(a.estimate(), gamma), gamma),
          "dx of the ds that is made");

      Buffer da = Buffer.poisoned(r, k, k + gap);
      LoraPass withDa = new LoraPass(module, s.matrix(), made.matrix(), da.matrix(), db.matrix());
      linear.backward(context, dy.matrix(), x.matrix(), List.of(withDa), dx.matrix());
      da.assertHolds(made.estimate().transposed().times(in, gamma), "da");
      assertThrows(
          IllegalArgumentException.class,
          () -> linear.backward(context, dy.matrix(), x.matrix(), List.of(all), dx.matrix()),
          "a module without a place for da");
    }
  }

  @Test
  void aBorrowedWeightIsReadAsItIsAtTheCall() {
    Buffer x = Buffer.random(random, 7, 12, 12);
    Buffer dy = Buffer.random(random, 7, 30, 30);
    Buffer w = Buffer.random(random, 30, 12, 15);
    Buffer y = Buffer.poisoned(7, 30, 31);
    Buffer dx = Buffer.poisoned(7, 12, 12);
    try (Linear linear = Linear.borrowing(context, w.matrix(), null)) {
      w.set(29, 11, 17);
      linear.forward(context, x.matrix(), List.of(), y.matrix());
      double gamma = Estimate.gamma(30);
      y.assertHolds(x.estimate().times(w.estimate().transposed(), gamma), "y");
      linear.gradInput(context, dy.matrix(), List.of(), dx.matrix());
      dx.assertHolds(dy.estimate().times(w.estimate(), gamma), "dx");
    }
  }

  @Test
  void aModuleAddsToItsColumnsAlone() {
    Buffer x = Buffer.random(random, 9, 12, 12);
    Buffer w = Buffer.random(random, 30, 12, 12);
    Buffer a = Buffer.random(random, 4, 12, 12);
    Buffer b = Buffer.random(random, 7, 4, 4);
    Buffer s = Buffer.poisoned(9, 4, 4);
    Buffer y = Buffer.poisoned(9, 30, 30);
    try (Linear linear = new Linear(context, w.matrix(), null)) {
      LoraModule<Matrix> module = new LoraModule<>(a.matrix(), b.matrix(), 21, null, 1, null);
      linear.forward(context, x.matrix(), List.of(new LoraPass(module, s.matrix())), y.matrix());
    }
    double gamma = Estimate.gamma(12 + 4);
    Estimate in = x.estimate();
    Estimate frozen = in.times(w.estimate().transposed(), gamma);
    Estimate rank = in.times(a.estimate().transposed(), gamma);
    Estimate delta = rank.times(b.estimate().transposed(), gamma).within(30, 21);
    y.assertHolds(frozen.plus(delta, gamma), "y");
  }

  @Test
  void wrongShapesAreNamed() {
    Buffer w = Buffer.random(random, 6, 5, 5);
    Buffer bias = Buffer.random(random, 1, 5, 5);
    Buffer x = Buffer.random(random, 2, 4, 4);
    Buffer y = Buffer.poisoned(2, 6, 6);
    IllegalArgumentException wrongBias =
        assertThrows(
            IllegalArgumentException.class, () -> new Linear(context, w.matrix(), bias.matrix()));
    assertTrue(wrongBias.getMessage().contains("bias must be FLOAT32 [1, 6], got FLOAT32 [1, 5]"));
    Linear linear = new Linear(context, w.matrix(), null);
    IllegalArgumentException wrongX =
        assertThrows(
            IllegalArgumentException.class,
            () -> linear.forward(context, x.matrix(), List.of(), y.matrix()));
    assertTrue(wrongX.getMessage().contains("x must be FLOAT32 [2, 5], got FLOAT32 [2, 4]"));
    linear.close();
    linear.close();
    Buffer good = Buffer.random(random, 2, 5, 5);
    assertThrows(
        IllegalStateException.class,
        () -> linear.forward(context, good.matrix(), List.of(), y.matrix()));
  }

  @Test
  void aDeviceThatIsNotThereIsRefusedWithTheReason() {
    KernelException none =
        assertThrows(KernelException.class, () -> new Context(Device.cuda(0, null)));
    assertTrue(none.getMessage().contains("CUDA"), none.getMessage());
  }

  @Test
  void onTheCpuThePathIsOurOwn() {
    Linear.Paths own = new Linear.Paths(Linear.Path.FUSED, Linear.Path.FUSED);
    for (List<Long> ranks : List.of(List.<Long>of(), List.of(4L), List.of(8L, 3L, 8L))) {
      for (int masks = 0; masks <= ranks.size(); masks++) {
        assertEquals(own, Linear.choosePaths(CPU, shapeOf(ranks, masks)));
      }
    }
  }

  @Test
  void onTheCpuALibraryIsNotAsked() {
    Buffer x = Buffer.random(random, 7, 46);
    Buffer w = Buffer.random(random, 36, 46);
    Buffer y = Buffer.poisoned(7, 36);
    PlainProduct library = new PlainProduct(CPU);
    try (Linear linear = new Linear(context, w.matrix(), null, library)) {
      linear.forward(context, x.matrix(), List.of(), y.matrix());
      linear.gradInput(context, y.matrix(), List.of(), Buffer.poisoned(7, 46).matrix());
    }
    y.assertHolds(x.estimate().times(w.estimate().transposed(), Estimate.gamma(46)), "y");
    assertEquals(List.of(), library.calls);
  }

  private static Linear.Shape shapeOf(List<Long> ranks, int masks) {
    return new Linear.Shape(DType.FLOAT32, 100, 46, 36, ranks, masks);
  }

  @Test
  void theShapeOfACallHasItsModulesWhereAllAreOnAllRows() {
    LoraModule<Long> whole = new LoraModule<>(4L, null, 1);
    LoraModule<Long> drops = new LoraModule<>(8L, null, 0, null, 1, new Dropout(0.1f, 1, 1, 1, 0));
    LoraModule<Long> never = new LoraModule<>(8L, null, 0, null, 1, new Dropout(0, 1, 1, 1, 0));
    assertEquals(shapeOf(List.of(), 0), shapeWith(List.of()));
    assertEquals(shapeOf(List.of(4L, 8L, 8L), 1), shapeWith(List.of(whole, drops, never)));
    LoraModule<Long> own = drops.on(new Rows(0, 50));
    assertEquals(shapeOf(List.of(), 0), shapeWith(List.of(own, drops.on(new Rows(50, 50)))));
  }

  private static Linear.Shape shapeWith(List<LoraModule<Long>> modules) {
    return Linear.Shape.of(DType.FLOAT32, 100, 46, 36, modules, a -> a);
  }

  @Test
  void aChoiceOfPathsReadsEachModulesRank() {
    Map<Linear.Shape, String> wrong =
        Map.of(
            shapeOf(List.of(4L, 8L, 0L), 0), "shape->ranks[2] must be at least 1, got 0",
            shapeOf(List.of(4L, 8L), 3), "shape->masks must be at most 2, got 3",
            shapeOf(Collections.nCopies(17, 4L), 0), "shape->modules must be at most 16, got 17");
    wrong.forEach(
        (shape, message) -> {
          KernelException refused =
              assertThrows(KernelException.class, () -> Linear.choosePaths(CPU, shape));
          assertTrue(refused.getMessage().contains(message), refused.getMessage());
        });
  }
}
