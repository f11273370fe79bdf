package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Modules of several adapters over one batch, each on rows of its own. */
class LinearRowsTest extends CpuTest {
  private static final int M = 41;
  private static final int K = 67;
  private static final int N = 33;
  private static final int[] RANKS = {4, 9, 1, 16};
  private static final int LARGEST = 16;

  private final Buffer x = Buffer.random(random, M, K, K + 3);
  private final Buffer dy = Buffer.random(random, M, N, N + 1);
  private final Buffer w = Buffer.random(random, N, K);
  private final List<LoraModule<Matrix>> modules = new ArrayList<>();

  LinearRowsTest() {
    // The third module has no rows; rows 30 to 34 have no module.
    Rows[] rows = {new Rows(11, 19), new Rows(35, 6), new Rows(11, 0), new Rows(0, 11)};
    Dropout[] dropouts = {
      null, new Dropout(0.5f, 18, 7, 2, 1), null, new Dropout(0.25f, 17, 21, 2, 0)
    };
    for (int i = 0; i < RANKS.length; i++) {
      modules.add(
          new LoraModule<>(
              Buffer.random(random, RANKS[i], K).matrix(),
              Buffer.random(random, N, RANKS[i]).matrix(),
              0,
              rows[i],
              0.5f + i,
              dropouts[i]));
    }
  }

  /** What the calls write. All of it starts at 2, so that what is left alone shows. */
  private final class Results {
    final Buffer s = two(M, LARGEST);
    final Buffer ds = two(M, LARGEST);
    final Buffer y = two(M, N);
    final Buffer dx = two(M, K);
    final List<Buffer> da = new ArrayList<>();
    final List<Buffer> db = new ArrayList<>();
    final List<LoraPass> passes = new ArrayList<>();

    Results() {
      for (int i = 0; i < RANKS.length; i++) {
        da.add(two(RANKS[i], K));
        db.add(two(N, RANKS[i]));
        passes.add(
            new LoraPass(
                modules.get(i),
                s.matrix().part(0, 0, M, RANKS[i]),
                ds.matrix().part(0, 0, M, RANKS[i]),
                da.get(i).matrix(),
                db.get(i).matrix()));
      }
    }

    private static Buffer two(int rows, int cols) {
      return Buffer.filled(2, rows, cols, cols + 1);
    }

    void assertSame(Results other) {
      List<Buffer> all = all();
      for (int i = 0; i < all.size(); i++) {
        assertArrayEquals(other.all().get(i).floats(), all.get(i).floats(), "result " + i);
      }
    }

    private List<Buffer> all() {
      List<Buffer> all = new ArrayList<>(List.of(s, ds, y, dx));
      all.addAll(da);
      all.addAll(db);
      return all;
    }
  }

  @Test
  void aCallGivesTheBitsOfCallsForEachModulesRowsAlone() {
    Results together = new Results();
    call(together, together.passes, new Rows(0, M));

    Results singly = new Results();
    for (LoraPass pass : singly.passes) {
      Rows rows = pass.module().rows();
      if (rows.count() > 0) {
        call(singly, List.of(alone(pass)), rows);
      }
    }
    together.assertSame(singly);
  }

  /** All functions of LoRA, on these rows of x, y and their gradients. */
  private void call(Results results, List<LoraPass> passes, Rows rows) {
    Linear.down(context, rows(x.matrix(), rows), passes);
    Linear.up(context, passes, rows(results.y.matrix(), rows));
    Linear.gradUp(context, rows(dy.matrix(), rows), passes);
    Linear.gradDown(context, rows(x.matrix(), rows), passes);
    Linear.addGradInput(context, passes, rows(results.dx.matrix(), rows));
  }

  @Test
  void theFusedProductGivesTheBitsOfCallsForEachModulesRowsAlone() {
    Results together = new Results();
    Results singly = new Results();
    try (Linear linear = new Linear(context, w.matrix(), null)) {
      linear.forward(context, x.matrix(), together.passes, together.y.matrix());
      Linear.gradUp(context, dy.matrix(), together.passes);
      linear.gradInput(context, dy.matrix(), together.passes, together.dx.matrix());
      Linear.gradDown(context, x.matrix(), together.passes);

      Rows without = new Rows(30, 5);
      linear.forward(
          context, rows(x.matrix(), without), List.of(), rows(singly.y.matrix(), without));
      linear.gradInput(
          context, rows(dy.matrix(), without), List.of(), rows(singly.dx.matrix(), without));
      for (LoraPass pass : singly.passes) {
        Rows rows = pass.module().rows();
        if (rows.count() > 0) {
          List<LoraPass> alone = List.of(alone(pass));
          linear.forward(context, rows(x.matrix(), rows), alone, rows(singly.y.matrix(), rows));
          Linear.gradUp(context, rows(dy.matrix(), rows), alone);
          linear.gradInput(context, rows(dy.matrix(), rows), alone, rows(singly.dx.matrix(), rows));
          Linear.gradDown(context, rows(x.matrix(), rows), alone);
        }
      }
    }
    together.assertSame(singly);
  }

  /** A pass over its module's rows as a batch of their own. */
  private static LoraPass alone(LoraPass pass) {
    Rows rows = pass.module().rows();
    return new LoraPass(
        pass.module().on(null), rows(pass.s(), rows), rows(pass.ds(), rows), pass.da(), pass.db());
  }

  private static Matrix rows(Matrix matrix, Rows rows) {
    return matrix.part(rows.first(), 0, rows.count(), matrix.cols());
  }

  @Test
  void rowsThatOverlapAreNamed() {
    List<LoraPass> passes = new Results().passes;
    List<LoraPass> overlapping =
        List.of(on(passes.get(0), new Rows(0, 5)), on(passes.get(1), new Rows(4, 5)));
    KernelException e =
        assertThrows(KernelException.class, () -> Linear.down(context, x.matrix(), overlapping));
    assertTrue(e.getMessage().contains("the same rows or none in common"), e.getMessage());
  }

  private static LoraPass on(LoraPass pass, Rows rows) {
    return new LoraPass(pass.module().on(rows), pass.s());
  }

  @Test
  void aRankThatSHasNoRoomForIsNamed() {
    Matrix narrow = Buffer.filled(0, M, 8, 8).matrix();
    List<LoraPass> passes = List.of(new LoraPass(modules.get(1), narrow));
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Linear.down(context, x.matrix(), passes));
    assertEquals("s must be FLOAT32 [41, 9], got FLOAT32 [41, 8]", e.getMessage());
  }

  @Test
  void modulesWithoutRowsAreNoWork() {
    Results results = new Results();
    Linear.down(context, x.matrix(), List.of(results.passes.get(2)));
    assertArrayEquals(new Results().s.floats(), results.s.floats());
  }
}
