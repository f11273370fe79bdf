package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.prunepeft.kernels.DropoutMask.mask;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

/**
 * A whole LoRA linear by each path, in each type that the device has, against float64: what may
 * differ is what the type's roundings may lose ({@link Estimate}). Outputs are NaN before the call.
 */
class LinearPathsTest {
  private static final float SCALE = 0.5f;

  private final long seed = TestSeed.draw();
  private final Random random = new Random(seed);

  /** Columns behind the rows of each matrix: `gap`. */
  private record Shape(int m, int k, int n, int r, int gap) {}

  private static final List<Shape> SHAPES =
      List.of(
          new Shape(0, 40, 24, 8, 0),
          new Shape(0, 5, 3, 1, 1),
          new Shape(1, 1, 1, 1, 0),
          new Shape(1, 67, 45, 3, 5),
          new Shape(1, 128, 64, 16, 0),
          new Shape(19, 23, 17, 5, 1),
          new Shape(37, 72, 56, 8, 8),
          new Shape(130, 33, 65, 16, 7),
          new Shape(65, 136, 104, 33, 3),
          new Shape(24, 48, 80, 64, 0),
          new Shape(17, 49, 40, 100, 4),
          new Shape(20, 40, 33, 128, 0));

  private record Case(
      Linear.Path forward,
      Linear.Path backward,
      boolean oneCall,
      DType type,
      Shape shape,
      float p) {}

  private static Stream<Case> cases(DType... types) {
    List<Case> cases = new ArrayList<>();
    for (Shape shape : SHAPES) {
      for (DType type : types) {
        for (Linear.Path forward : Linear.Path.values()) {
          for (Linear.Path backward : Linear.Path.values()) {
            for (float p : new float[] {0, 0.1f}) {
              cases.add(new Case(forward, backward, true, type, shape, p));
              // Both calls of the backward pass beside each forward path would only take long.
              if (forward == backward && backward == Linear.Path.FUSED) {
                cases.add(new Case(forward, backward, false, type, shape, p));
              }
            }
          }
        }
      }
    }
    return cases.stream();
  }

  static Stream<Case> onTheCpu() {
    return cases(DType.FLOAT32);
  }

  static Stream<Case> onADevice() {
    return cases(DType.values());
  }

  @ParameterizedTest
  @MethodSource("onTheCpu")
  void everyPathGivesALoraLinear(Case tested) {
    check(Device.cpu(), tested);
  }

  @ParameterizedTest
  @MethodSource("onADevice")
  @Tag("device")
  void everyPathGivesALoraLinearInEachType(Case tested) {
    try (Device device = TestDevice.open()) {
      check(device, tested);
    }
  }

  /** A linear, and what its paths have to give. */
  private final class Fixture implements AutoCloseable {
    final Device device;
    final DType type;
    final Shape shape;
    final Context context;
    final FrozenProduct library;
    final DeviceMatrix w;
    final DeviceMatrix a;
    final DeviceMatrix b;
    final DeviceMatrix x;
    final DeviceMatrix dy;
    final DeviceMatrix s;
    final DeviceMatrix ds;
    final DeviceMatrix y;
    final DeviceMatrix dx;
    final DeviceMatrix da;
    final DeviceMatrix db;
    final List<DeviceMatrix> inputs;
    final List<double[][]> before = new ArrayList<>();
    final List<LoraPass> passes;
    final Linear linear;
    final double[][] kept;
    final double gamma;

    Fixture(Device device, Case tested) {
      this.device = device;
      type = tested.type;
      shape = tested.shape;
      context = new Context(device);
      library = new PlainProduct(device);
      w = random(shape.n, shape.k);
      a = random(shape.r, shape.k);
      b = random(shape.n, shape.r);
      x = random(shape.m, shape.k);
      dy = random(shape.m, shape.n);
      s = poisoned(type, shape.m, shape.r);
      ds = poisoned(type, shape.m, shape.r);
      y = poisoned(type, shape.m, shape.n);
      dx = poisoned(type, shape.m, shape.k);
      da = poisoned(DType.FLOAT32, shape.r, shape.k);
      db = poisoned(DType.FLOAT32, shape.n, shape.r);
      inputs = List.of(w, a, b, x, dy);
      inputs.forEach(matrix -> before.add(matrix.values()));
      Dropout dropout = tested.p == 0 ? null : new Dropout(tested.p, seed, 7, 3, 1);
      kept = mask(shape.m, shape.k, dropout);
      LoraModule<Matrix> module = new LoraModule<>(a.matrix(), b.matrix(), 0, null, SCALE, dropout);
      passes = List.of(new LoraPass(module, s.matrix(), ds.matrix(), da.matrix(), db.matrix()));
      linear = new Linear(context, w.matrix(), null);
      // Of the longest sum and some factors; tensor cores cut off where others round.
      int longest = Math.max(shape.m, Math.max(shape.k, shape.n) + shape.r) + 8;
      gamma = longest * (type == DType.FLOAT32 ? 1 : 2) * Rounding.FLOAT32;
    }

    private DeviceMatrix random(int rows, int cols) {
      return DeviceMatrix.random(device, type, random, rows, cols, shape.gap);
    }

    private DeviceMatrix poisoned(DType dtype, int rows, int cols) {
      return DeviceMatrix.poisoned(device, dtype, rows, cols, shape.gap);
    }

    private static Estimate exact(DeviceMatrix matrix) {
      return Estimate.exact(matrix.values(), (int) matrix.matrix().cols());
    }

    private Estimate stored(Estimate result) {
      return result.rounded(type);
    }

    /** Runs a path forward and checks S and y. */
    Estimate checkForward(Linear.Path path) {
      Estimate in = exact(x);
      Estimate expectedS =
          stored(in.elementwise(kept).times(exact(a).transposed(), gamma).scaled(SCALE));
      Estimate frozen = in.times(exact(w).transposed(), gamma);
      Estimate delta = expectedS.times(exact(b).transposed(), gamma);
      // A library's product is stored before the rank's is added.
      Estimate base = path == Linear.Path.SPLIT ? stored(frozen) : frozen;

      if (path == Linear.Path.FUSED) {
        linear.forward(context, x.matrix(), passes, y.matrix());
      } else {
        library.forward(x.matrix(), w.matrix(), null, y.matrix());
        Linear.down(context, x.matrix(), passes);
        Linear.up(context, passes, y.matrix());
      }

      s.assertWithin(expectedS, "S");
      y.assertWithin(stored(base.plus(delta, gamma)), "y");
      return expectedS;
    }

    /**
     * Runs a path backward and checks dS, dX, dA and dB.
     *
     * @param oneCall whether our own product makes all of them by one call
     */
    void checkBackward(Linear.Path path, boolean oneCall, Estimate forward) {
      Estimate in = exact(x);
      Estimate out = exact(dy);
      Estimate expectedDs = stored(out.times(exact(b), gamma).scaled(SCALE));
      Estimate frozen = out.times(exact(w), gamma);
      Estimate base = path == Linear.Path.SPLIT ? stored(frozen) : frozen;
      Estimate expectedDx =
          stored(base.plus(expectedDs.times(exact(a), gamma).elementwise(kept), gamma));
      Estimate expectedDa = expectedDs.transposed().times(in.elementwise(kept), gamma);
      Estimate expectedDb = out.transposed().times(forward, gamma);
      if (shape.m == 0) {
        expectedDa = exact(da);
        expectedDb = exact(db);
      }

      if (path == Linear.Path.FUSED && oneCall) {
        linear.backward(context, dy.matrix(), x.matrix(), passes, dx.matrix());
      } else if (path == Linear.Path.FUSED) {
        Linear.gradUp(context, dy.matrix(), passes);
        linear.gradInput(context, dy.matrix(), passes, dx.matrix());
      } else {
        Linear.gradUp(context, dy.matrix(), passes);
        library.gradInput(dy.matrix(), w.matrix(), dx.matrix());
        Linear.addGradInput(context, passes, dx.matrix());
      }
      if (path != Linear.Path.FUSED || !oneCall) {
        Linear.gradDown(context, x.matrix(), passes);
      }

      ds.assertWithin(expectedDs, "dS");
      dx.assertWithin(expectedDx, "dX");
      da.assertWithin(expectedDa, "dA");
      db.assertWithin(expectedDb, "dB");
    }

    void assertInputsUnchanged() {
      for (int i = 0; i < inputs.size(); i++) {
        assertArrayEquals(before.get(i), inputs.get(i).values(), "input " + i);
        inputs.get(i).assertGaps("input " + i);
      }
    }

    @Override
    public void close() {
      linear.close();
      context.close();
      inputs.forEach(DeviceMatrix::close);
      List.of(s, ds, y, dx, da, db).forEach(DeviceMatrix::close);
    }
  }

  private void check(Device device, Case tested) {
    try (Fixture f = new Fixture(device, tested)) {
      Estimate s = f.checkForward(tested.forward);
      f.checkBackward(tested.backward, tested.oneCall, s);
      f.assertInputsUnchanged();
    }
  }
}
