package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.kernels.DropoutMask.mask;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.kernels.Linear.Path;
import org.prunepeft.kernels.Linear.Paths;
import org.prunepeft.testing.TestSeed;

/**
 * A linear that is given a library: the path that it takes is the chosen one, and the results are
 * those of float64 within what float32 may lose.
 */
@Tag("device")
class LinearLibraryTest {
  private static final float SCALE = 0.5f;

  private final long seed = TestSeed.draw();
  private final Random random = new Random(seed);

  /** Which modules are on the linear. */
  private enum Modules {
    NONE,
    /** One on all rows and columns, which drops. */
    ONE,
    /** Two on the halves of the columns, of which one drops. */
    HALVES,
    /** Two on rows of their own, of which one drops. */
    ROWS
  }

  /** What is chosen on the emulated device. */
  private record Case(int m, int k, int n, Modules modules, int r, Path forward, Path backward) {
    /** Of the call, written out. */
    Linear.Shape shape() {
      long rank = r;
      return switch (modules) {
        case NONE, ROWS -> new Linear.Shape(DType.FLOAT32, m, k, n, List.of(), 0);
        case ONE -> new Linear.Shape(DType.FLOAT32, m, k, n, List.of(rank), 1);
        case HALVES -> new Linear.Shape(DType.FLOAT32, m, k, n, List.of(rank, rank), 1);
      };
    }
  }

  static List<Case> cases() {
    return List.of(
        new Case(37, 256, 128, Modules.NONE, 0, Path.SPLIT, Path.SPLIT),
        new Case(37, 256, 128, Modules.ONE, 8, Path.FUSED, Path.FUSED),
        new Case(37, 256, 128, Modules.ONE, 64, Path.SPLIT, Path.SPLIT),
        new Case(37, 256, 128, Modules.ROWS, 4, Path.SPLIT, Path.SPLIT),
        new Case(37, 256, 256, Modules.HALVES, 8, Path.SPLIT, Path.SPLIT),
        new Case(37, 128, 256, Modules.ONE, 8, Path.FUSED, Path.SPLIT),
        new Case(64, 256, 128, Modules.ONE, 16, Path.SPLIT, Path.FUSED),
        new Case(37, 40, 72, Modules.ROWS, 8, Path.FUSED, Path.FUSED),
        new Case(0, 72, 40, Modules.ONE, 8, Path.SPLIT, Path.SPLIT));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void theChosenPathIsTaken(Case tested) {
    try (Device device = TestDevice.open();
        Fixture f = new Fixture(device, tested, new PlainProduct(device))) {
      Paths chosen = Linear.choosePaths(device, tested.shape());
      if (TestDevice.isEmulated()) {
        assertEquals(tested.forward, chosen.forward());
        assertEquals(tested.backward, chosen.backward());
      }
      f.check(chosen);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void withoutALibraryThePathIsOurOwn(Case tested) {
    try (Device device = TestDevice.open();
        Fixture f = new Fixture(device, tested, null)) {
      Paths chosen = Linear.choosePaths(device, tested.shape(), true);
      assertEquals(Path.FUSED, chosen.forward());
      assertEquals(Path.FUSED, chosen.backward());
      f.check(chosen);
    }
  }

  /** A linear with a bias, and what it has to give. */
  private final class Fixture implements AutoCloseable {
    final Device device;
    final Case tested;
    final PlainProduct library;
    final Context context;
    final List<DeviceMatrix> owned = new ArrayList<>();
    final DeviceMatrix w;
    final DeviceMatrix bias;
    final DeviceMatrix x;
    final DeviceMatrix dy;
    final DeviceMatrix y;
    final DeviceMatrix dx;
    final List<Pass> passes = new ArrayList<>();
    final Linear linear;
    final double gamma;

    Fixture(Device device, Case tested, PlainProduct library) {
      this.device = device;
      this.tested = tested;
      this.library = library;
      context = new Context(device);
      w = random(tested.n, tested.k);
      bias = random(1, tested.n);
      x = random(tested.m, tested.k);
      dy = random(tested.m, tested.n);
      y = poisoned(tested.m, tested.n);
      dx = poisoned(tested.m, tested.k);
      int half = tested.n / 2;
      Dropout dropout = new Dropout(0.2f, seed, 7, 3, 1);
      switch (tested.modules) {
        case NONE -> {}
        case ONE -> passes.add(new Pass(0, tested.n, null, dropout));
        case HALVES -> {
          passes.add(new Pass(0, half, null, null));
          passes.add(new Pass(half, tested.n - half, null, dropout));
        }
        case ROWS -> {
          passes.add(new Pass(0, tested.n, new Rows(1, 9), dropout));
          passes.add(new Pass(0, tested.n, new Rows(12, tested.m - 12L), null));
        }
      }
      linear = new Linear(context, w.matrix(), bias.matrix(), library);
      int longest = Math.max(tested.m, Math.max(tested.k, tested.n) + tested.r) + 8;
      gamma = Estimate.gamma(longest);
    }

    /** A module with what its pass writes. */
    final class Pass {
      final LoraPass pass;
      final DeviceMatrix a = random(tested.r, tested.k);
      final DeviceMatrix b;
      final DeviceMatrix da = poisoned(tested.r, tested.k);
      final DeviceMatrix db;

      /** What x is multiplied by for it: 0 on the rows of others. */
      final double[][] kept = new double[tested.m][tested.k];

      Pass(int firstColumn, int columns, Rows rows, Dropout dropout) {
        b = random(columns, tested.r);
        db = poisoned(columns, tested.r);
        int first = rows == null ? 0 : (int) rows.first();
        int count = rows == null ? tested.m : (int) rows.count();
        System.arraycopy(mask(count, tested.k, dropout), 0, kept, first, count);
        LoraModule<Matrix> module =
            new LoraModule<>(a.matrix(), b.matrix(), firstColumn, rows, SCALE, dropout);
        Matrix s = poisoned(tested.m, tested.r).matrix();
        Matrix ds = poisoned(tested.m, tested.r).matrix();
        pass = new LoraPass(module, s, ds, da.matrix(), db.matrix());
      }

      Estimate s() {
        return exact(x).elementwise(kept).times(exact(a).transposed(), gamma).scaled(SCALE);
      }

      Estimate delta() {
        int first = (int) pass.module().firstColumn();
        return s().times(exact(b).transposed(), gamma).within(tested.n, first);
      }

      /** The columns of dY that it adds to, rows of others with it, which {@link #kept} drops. */
      Estimate out() {
        Matrix own = dy.matrix().part(0, pass.module().firstColumn(), tested.m, b.matrix().rows());
        return Estimate.exact(DeviceMatrix.read(device, own), (int) own.cols());
      }

      Estimate ds() {
        return out().times(exact(b), gamma).scaled(SCALE);
      }

      Estimate toDx() {
        return ds().times(exact(a), gamma).elementwise(kept);
      }
    }

    private DeviceMatrix random(int rows, int cols) {
      return own(DeviceMatrix.random(device, DType.FLOAT32, random, rows, cols, 3));
    }

    private DeviceMatrix poisoned(int rows, int cols) {
      return own(DeviceMatrix.poisoned(device, DType.FLOAT32, rows, cols, 2));
    }

    private DeviceMatrix own(DeviceMatrix matrix) {
      owned.add(matrix);
      return matrix;
    }

    private static Estimate exact(DeviceMatrix matrix) {
      return Estimate.exact(matrix.values(), (int) matrix.matrix().cols());
    }

    /** Makes all calls, by these paths. */
    void check(Paths paths) {
      List<LoraPass> modules = passes.stream().map(pass -> pass.pass).toList();
      List<LoraModule<Matrix>> weights = modules.stream().map(LoraPass::module).toList();
      assertEquals(paths, linear.paths(context, tested.m, weights));

      linear.forward(context, x.matrix(), modules, y.matrix());
      assertCalls(paths.forward(), "forward");
      Estimate expectedY = exact(x).times(exact(w).transposed(), gamma).plusRow(exact(bias), gamma);
      for (Pass pass : passes) {
        expectedY = expectedY.plus(pass.delta(), gamma);
      }
      y.assertWithin(expectedY, "y");

      Estimate expectedDx = exact(dy).times(exact(w), gamma);
      for (Pass pass : passes) {
        expectedDx = expectedDx.plus(pass.toDx(), gamma);
      }
      linear.backward(context, dy.matrix(), modules, dx.matrix());
      assertCalls(paths.backward(), "gradInput");
      dx.assertWithin(expectedDx, "dX without dA");
      for (Pass pass : passes) {
        assertGradient(pass.db, pass.out().transposed().times(pass.s(), gamma), "dB");
        assertEquals(Double.NaN, pass.da.values()[0][0], "dA was written");
      }

      DeviceMatrix.write(device, dx.matrix(), poisoned(tested.m, tested.k).values());
      linear.gradInput(context, dy.matrix(), modules, dx.matrix());
      assertCalls(paths.backward(), "gradInput");
      dx.assertWithin(expectedDx, "dX of dS");

      DeviceMatrix.write(device, dx.matrix(), poisoned(tested.m, tested.k).values());
      linear.backward(context, dy.matrix(), x.matrix(), modules, dx.matrix());
      assertCalls(paths.backward(), "gradInput");
      dx.assertWithin(expectedDx, "dX");
      for (Pass pass : passes) {
        Estimate in = exact(x).elementwise(pass.kept);
        assertGradient(pass.da, pass.ds().transposed().times(in, gamma), "dA");
      }
    }

    /** What the library was asked for since. */
    private void assertCalls(Path path, String call) {
      if (library != null) {
        assertEquals(path == Path.SPLIT ? List.of(call) : List.of(), library.calls);
        library.calls.clear();
      }
    }

    /** A gradient stays as it is where there are no rows. */
    private void assertGradient(DeviceMatrix gradient, Estimate expected, String name) {
      if (tested.m > 0) {
        gradient.assertWithin(expected, name);
      } else {
        assertEquals(Double.NaN, gradient.values()[0][0], name + " was written");
      }
    }

    @Override
    public void close() {
      linear.close();
      context.close();
      owned.forEach(DeviceMatrix::close);
    }
  }

  private static final Case SPLIT = cases().get(2);

  @Test
  void masksAreKeptWhereThatShouldBeTheFaster() {
    try (Device device = TestDevice.open();
        Context context = new Context(device);
        DeviceMatrix w = DeviceMatrix.random(device, DType.BFLOAT16, random, 40, 72, 0);
        DeviceMatrix a = DeviceMatrix.random(device, DType.BFLOAT16, random, 8, 72, 0);
        DeviceMatrix a2 = DeviceMatrix.random(device, DType.BFLOAT16, random, 4, 72, 0);
        Linear linear = new Linear(context, w.matrix(), null, new PlainProduct(device))) {
      Dropout dropout = new Dropout(0.1f, seed, 1, 1, 0);
      LoraModule<Matrix> first = new LoraModule<>(a.matrix(), null, 0, null, 1, dropout);
      LoraModule<Matrix> second = new LoraModule<>(a2.matrix(), null, 20, null, 1, dropout);
      List<LoraModule<Matrix>> modules = List.of(first, second);
      Linear.Shape shape = new Linear.Shape(DType.BFLOAT16, 64, 72, 40, List.of(8L, 4L), 2);
      Paths paths = linear.paths(context, 64, modules);
      assertEquals(Linear.choosePaths(device, shape), paths);
      if (TestDevice.isEmulated()) {
        assertTrue(paths.keepMasks());
      }
    }
  }

  @Test
  void aLibraryOfAnotherDeviceOrStreamIsRefused() {
    try (Device device = TestDevice.open();
        Device other = Device.cudaWithOwnStream(0);
        Fixture f = new Fixture(device, SPLIT, new PlainProduct(device));
        Context otherContext = new Context(other)) {
      assertRefused(
          "got a library of the CPU and a context of CUDA device 0, the default stream",
          () ->
              new Linear(f.context, f.w.matrix(), f.bias.matrix(), new PlainProduct(Device.cpu())));
      String streams =
          "got a library of CUDA device 0, the default stream and a context of CUDA device 0, the "
              + "stream at 0x";
      assertRefused(
          streams,
          () -> new Linear(otherContext, f.w.matrix(), f.bias.matrix(), new PlainProduct(device)));
      Matrix x = f.x.matrix();
      Matrix dy = f.dy.matrix();
      Matrix dx = f.dx.matrix();
      assertRefused(streams, () -> f.linear.forward(otherContext, x, List.of(), f.y.matrix()));
      assertRefused(streams, () -> f.linear.gradInput(otherContext, dy, List.of(), dx));
      assertRefused(streams, () -> f.linear.backward(otherContext, dy, x, List.of(), dx));
      assertEquals(List.of(), f.library.calls);
    }
  }

  @Test
  void whatIsMissingOrWrongIsNamedBeforeTheLibraryIsAsked() {
    try (Device device = TestDevice.open();
        Fixture f = new Fixture(device, SPLIT, new PlainProduct(device))) {
      List<LoraPass> passes = List.of(f.passes.get(0).pass);
      Matrix x = f.x.matrix();
      Matrix dy = f.dy.matrix();
      Matrix dx = f.dx.matrix();
      assertRefused(
          "weight must be given", () -> new Linear(f.context, null, f.bias.matrix(), f.library));
      assertRefused(
          "x must be given", () -> f.linear.forward(f.context, null, passes, f.y.matrix()));
      assertRefused("y must be given", () -> f.linear.forward(f.context, x, passes, null));
      assertRefused(
          "y must be FLOAT32 [37, 128], got FLOAT32 [37, 256]",
          () -> f.linear.forward(f.context, x, passes, dx));
      assertRefused("dy must be given", () -> f.linear.gradInput(f.context, null, passes, dx));
      assertRefused("dx must be given", () -> f.linear.backward(f.context, dy, x, passes, null));
      LoraPass without = new LoraPass(passes.get(0).module(), null);
      assertRefused(
          "s must be given", () -> f.linear.forward(f.context, x, List.of(without), f.y.matrix()));
      assertRefused(
          "ds must be given", () -> f.linear.gradInput(f.context, dy, List.of(without), dx));
      f.linear.close();
      assertEquals(
          "this Linear is closed",
          assertThrows(
                  IllegalStateException.class,
                  () -> f.linear.forward(f.context, x, passes, f.y.matrix()))
              .getMessage());
      assertEquals(List.of(), f.library.calls);
    }
  }

  private static void assertRefused(String reason, Executable call) {
    IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, call);
    assertTrue(refused.getMessage().contains(reason), refused.getMessage());
  }
}
