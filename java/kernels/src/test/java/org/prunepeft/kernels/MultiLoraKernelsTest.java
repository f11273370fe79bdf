package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.TestSeed;

class MultiLoraKernelsTest {
  private static final Device CPU = Device.cpu();
  private static final int M = 41;
  private static final int K = 67;
  private static final int N = 33;
  private static final int[] RANKS = {4, 9, 1, 16};
  private static final int LARGEST = 16;

  private final Random random = TestSeed.random();
  private final Workspace workspace = new Workspace();

  private final Buffer x = Buffer.random(random, M, K, K + 3);
  private final Buffer dy = Buffer.random(random, M, N, N + 1);
  private final List<Buffer> a = new ArrayList<>();
  private final List<Buffer> b = new ArrayList<>();

  /** The third adapter has an empty segment only; rows 30 to 35 have none. */
  private final List<LoraSegment> segments =
      List.of(
          new LoraSegment(0, 11, 3, new Dropout(0.25f, 17, 2, 0)),
          new LoraSegment(11, 0, 2, null),
          new LoraSegment(11, 19, 0, null),
          new LoraSegment(35, 6, 1, new Dropout(0.5f, 18, 2, 1)));

  MultiLoraKernelsTest() {
    for (int rank : RANKS) {
      a.add(Buffer.random(random, rank, K));
      b.add(Buffer.random(random, N, rank));
    }
  }

  @AfterEach
  void closeWorkspace() {
    workspace.close();
  }

  /** What the calls write. All of it starts at 2, so that what is left alone shows. */
  private final class Results {
    final Buffer s = two(M, LARGEST);
    final Buffer ds = two(M, LARGEST);
    final Buffer y = two(M, N);
    final Buffer dx = two(M, K);
    final List<Buffer> da = new ArrayList<>();
    final List<Buffer> db = new ArrayList<>();
    final List<LoraAdapter> adapters = new ArrayList<>();

    Results() {
      for (int i = 0; i < RANKS.length; i++) {
        da.add(two(RANKS[i], K));
        db.add(two(N, RANKS[i]));
        adapters.add(
            new LoraAdapter(
                RANKS[i],
                a.get(i).matrix(),
                b.get(i).matrix(),
                0.5f + i,
                7 * i,
                da.get(i).matrix(),
                db.get(i).matrix()));
      }
    }

    private static Buffer two(int rows, int cols) {
      return Buffer.filled(2, rows, cols, cols + 1);
    }

    List<Buffer> all() {
      List<Buffer> all = new ArrayList<>(List.of(s, ds, y, dx));
      all.addAll(da);
      all.addAll(db);
      return all;
    }
  }

  @Test
  void aCallGivesTheBitsOfCallsForEachSegmentAlone() {
    Results together = new Results();
    List<LoraAdapter> adapters = together.adapters;
    Matrix s = together.s.matrix();
    Matrix ds = together.ds.matrix();
    MultiLoraKernels.down(CPU, x.matrix(), adapters, segments, s, workspace);
    MultiLoraKernels.up(CPU, adapters, segments, s, together.y.matrix(), workspace);
    MultiLoraKernels.gradUp(CPU, dy.matrix(), adapters, segments, s, ds, true, workspace);
    MultiLoraKernels.gradDown(CPU, x.matrix(), adapters, segments, ds, false, workspace);
    MultiLoraKernels.gradInput(CPU, adapters, segments, ds, together.dx.matrix(), workspace);

    Results singly = new Results();
    for (LoraSegment segment : segments) {
      if (segment.rows() > 0) {
        runAlone(segment, singly);
      }
    }
    for (int i = 0; i < together.all().size(); i++) {
      assertArrayEquals(
          singly.all().get(i).floats(), together.all().get(i).floats(), "result " + i);
    }
  }

  private void runAlone(LoraSegment segment, Results results) {
    LoraAdapter adapter = results.adapters.get(segment.adapter());
    Matrix s = rows(results.s.matrix(), segment, adapter.rank());
    Matrix ds = rows(results.ds.matrix(), segment, adapter.rank());
    Matrix xRows = rows(x.matrix(), segment, K);
    Dropout dropout = segment.dropout();
    List<LoraBranch> forward =
        List.of(new LoraBranch(adapter.a(), adapter.scale(), adapter.module(), s, null));
    List<LoraBranch> backward =
        List.of(new LoraBranch(adapter.a(), adapter.scale(), adapter.module(), ds, adapter.da()));
    LoraKernels.down(CPU, xRows, forward, dropout, null, workspace);
    LoraKernels.up(CPU, s, adapter.b(), rows(results.y.matrix(), segment, N), workspace);
    LoraKernels.gradUp(
        CPU,
        rows(dy.matrix(), segment, N),
        adapter.b(),
        s,
        adapter.scale(),
        ds,
        adapter.db(),
        true,
        workspace);
    LoraKernels.gradDown(CPU, xRows, backward, dropout, false, workspace);
    LoraKernels.gradInput(CPU, backward, dropout, rows(results.dx.matrix(), segment, K), workspace);
  }

  private static Matrix rows(Matrix matrix, LoraSegment segment, long cols) {
    return Matrix.of(
        matrix.data().getPointer(segment.firstRow() * matrix.ld()),
        segment.rows(),
        cols,
        matrix.ld());
  }

  @Test
  void segmentsThatOverlapAreNamed() {
    Results results = new Results();
    List<LoraSegment> overlapping =
        List.of(new LoraSegment(0, 5, 0, null), new LoraSegment(4, 5, 1, null));
    KernelException e =
        assertThrows(
            KernelException.class,
            () ->
                MultiLoraKernels.down(
                    CPU, x.matrix(), results.adapters, overlapping, results.s.matrix(), workspace));
    assertTrue(e.getMessage().contains("segments[1].first_row must be at least 5"), e.getMessage());
  }

  @Test
  void aRankThatSHasNoRoomForIsNamed() {
    Results results = new Results();
    Matrix narrow = Buffer.filled(0, M, 8, 8).matrix();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                MultiLoraKernels.down(
                    CPU, x.matrix(), results.adapters, segments, narrow, workspace));
    assertEquals("an adapter's rank must be in [1, 8], the columns of S, got 9", e.getMessage());
  }

  @Test
  void noSegmentsAreNoWork() {
    Results results = new Results();
    MultiLoraKernels.down(CPU, x.matrix(), List.of(), List.of(), results.s.matrix(), workspace);
    assertArrayEquals(new Results().s.floats(), results.s.floats());
  }
}
