package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.prunepeft.kernels.DropoutMask.mask;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.prunepeft.testing.TestSeed;

/**
 * A whole LoRA linear by each path, in each type that the device has, against float64: what may
 * differ is what the type's roundings may lose ({@link Estimate}). Outputs and borders are NaN
 * before the call.
 */
class LoraLinearPathsTest {
  private static final float SCALE = 0.5f;
  private static final int MODULE = 7;

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

  private record Case(LoraPath path, DType type, Shape shape, float p) {}

  private static Stream<Case> cases(DType... types) {
    List<Case> cases = new ArrayList<>();
    for (Shape shape : SHAPES) {
      for (DType type : types) {
        for (LoraPath path : LoraPath.values()) {
          for (float p : new float[] {0, 0.1f}) {
            cases.add(new Case(path, type, shape, p));
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
    try (Device device = device()) {
      check(device, tested);
    }
  }

  @ParameterizedTest
  @MethodSource("paths")
  void anOptimizerStepIsInTheNextForward(LoraPath path) {
    checkOptimizer(Device.cpu(), path, DType.FLOAT32);
  }

  @ParameterizedTest
  @MethodSource("pathsAndTypes")
  @Tag("device")
  void anOptimizerStepIsInTheNextForwardInEachType(LoraPath path, DType type) {
    try (Device device = device()) {
      checkOptimizer(device, path, type);
    }
  }

  static Stream<LoraPath> paths() {
    return Stream.of(LoraPath.values());
  }

  static Stream<Arguments> pathsAndTypes() {
    return paths().flatMap(path -> Stream.of(DType.values()).map(type -> Arguments.of(path, type)));
  }

  private static Device device() {
    assumeTrue(
        Device.cudaAbsence().isEmpty(), () -> "no device: " + Device.cudaAbsence().orElse(""));
    return Device.cuda(0, null);
  }

  /** Plain loops in float64 on the host, rounded once. */
  private static void multiply(
      Device device, Matrix left, Matrix right, boolean transposed, Matrix out, Workspace unused) {
    double[][] a = DeviceMatrix.read(device, left);
    double[][] b = DeviceMatrix.read(device, right);
    double[][] c = new double[(int) out.rows()][(int) out.cols()];
    for (int i = 0; i < c.length; i++) {
      for (int j = 0; j < c[i].length; j++) {
        for (int k = 0; k < a[i].length; k++) {
          c[i][j] += a[i][k] * (transposed ? b[j][k] : b[k][j]);
        }
      }
    }
    DeviceMatrix.write(device, out, c);
  }

  /** A linear, and what its paths have to give. */
  private final class Fixture implements AutoCloseable {
    final Device device;
    final DType type;
    final Shape shape;
    final Workspace workspace = new Workspace();
    final DeviceMatrix g;
    final DeviceMatrix x;
    final DeviceMatrix dy;
    final DeviceMatrix y;
    final DeviceMatrix dx;
    final LoraLinear linear;
    final double[][] input;
    final double[][] outputGradient;
    final double gamma;

    Fixture(Device device, DType type, Shape shape) {
      this.device = device;
      this.type = type;
      this.shape = shape;
      int gap = shape.gap;
      int wideK = shape.k + shape.r;
      int wideN = shape.n + shape.r;
      g = DeviceMatrix.random(device, type, random, wideN, wideK, gap);
      x = DeviceMatrix.random(device, type, random, shape.m, wideK, gap);
      dy = DeviceMatrix.random(device, type, random, shape.m, wideN, gap);
      y = DeviceMatrix.poisoned(device, type, shape.m, shape.n, gap);
      dx = DeviceMatrix.poisoned(device, type, shape.m, shape.k, gap);
      linear = new LoraLinear(LoraLinearPathsTest::multiply, g.matrix(), shape.r, SCALE, MODULE);
      // No path reads the corner.
      poison(g.matrix().part(shape.n, shape.k, shape.r, shape.r));
      input = DeviceMatrix.read(device, x.matrix().part(0, 0, shape.m, shape.k));
      outputGradient = DeviceMatrix.read(device, dy.matrix().part(0, 0, shape.m, shape.n));
      // Of the longest sum and some factors; tensor cores cut off where others round.
      int longest = Math.max(shape.m, Math.max(wideK, wideN)) + 8;
      gamma = longest * (type == DType.FLOAT32 ? 0x1p-24 : 0x1p-23);
    }

    private void poison(Matrix part) {
      double[][] nan = new double[(int) part.rows()][(int) part.cols()];
      for (double[] row : nan) {
        Arrays.fill(row, Double.NaN);
      }
      DeviceMatrix.write(device, part, nan);
    }

    Matrix s() {
      return x.matrix().part(0, shape.k, shape.m, shape.r);
    }

    Matrix ds() {
      return dy.matrix().part(0, shape.n, shape.m, shape.r);
    }

    Estimate exact(Matrix matrix) {
      return Estimate.exact(DeviceMatrix.read(device, matrix), (int) matrix.cols());
    }

    Estimate stored(Estimate result) {
      return result.rounded(type);
    }

    /** Runs a path forward and checks S, y and that nothing else has changed. */
    Estimate checkForward(LoraPath path, Dropout dropout, double[][] kept) {
      poison(s());
      poison(y.matrix());
      Estimate w = exact(linear.w());
      Estimate a = exact(linear.a());
      Estimate b = exact(linear.b());
      Estimate in = Estimate.exact(input, shape.k);
      Estimate s = stored(in.elementwise(kept).times(a.transposed(), gamma).scaled(SCALE));
      Estimate frozen = in.times(w.transposed(), gamma);
      Estimate delta = s.times(b.transposed(), gamma);
      // A library's product is stored before the rank's is added.
      Estimate base = path == LoraPath.SPLIT ? stored(frozen) : frozen;

      linear.forward(path, device, x.matrix(), dropout, y.matrix(), workspace);

      s.assertHolds(DeviceMatrix.read(device, s()), "S");
      y.assertWithin(stored(base.plus(delta, gamma)), "y");
      assertArrayEquals(
          input, DeviceMatrix.read(device, x.matrix().part(0, 0, shape.m, shape.k)), "x");
      x.assertGaps("x");
      return s;
    }

    /** Runs a path backward and checks dS, dX, dA and dB, which lie behind `before` if given. */
    void checkBackward(
        LoraPath path,
        Dropout dropout,
        double[][] kept,
        Estimate s,
        DeviceMatrix da,
        DeviceMatrix db,
        boolean accumulate) {
      poison(ds());
      poison(dx.matrix());
      Estimate w = exact(linear.w());
      Estimate a = exact(linear.a());
      Estimate b = exact(linear.b());
      Estimate in = Estimate.exact(input, shape.k);
      Estimate out = Estimate.exact(outputGradient, shape.n);
      Estimate ds = stored(out.times(b, gamma).scaled(SCALE));
      Estimate frozen = out.times(w, gamma);
      Estimate base = path == LoraPath.SPLIT ? stored(frozen) : frozen;
      Estimate expectedDx = stored(base.plus(ds.times(a, gamma).elementwise(kept), gamma));
      Estimate expectedDa = ds.transposed().times(in.elementwise(kept), gamma);
      Estimate expectedDb = out.transposed().times(s, gamma);
      if (shape.m == 0) {
        expectedDa = exact(da.matrix());
        expectedDb = exact(db.matrix());
      } else if (accumulate) {
        expectedDa = exact(da.matrix()).plus(expectedDa, gamma);
        expectedDb = exact(db.matrix()).plus(expectedDb, gamma);
      }

      linear.backward(
          path,
          device,
          x.matrix(),
          dy.matrix(),
          dropout,
          dx.matrix(),
          da.matrix(),
          db.matrix(),
          accumulate,
          workspace);

      ds.assertHolds(DeviceMatrix.read(device, ds()), "dS");
      dx.assertWithin(expectedDx, "dX");
      da.assertWithin(expectedDa, "dA");
      db.assertWithin(expectedDb, "dB");
      assertArrayEquals(
          outputGradient,
          DeviceMatrix.read(device, dy.matrix().part(0, 0, shape.m, shape.n)),
          "dY");
      dy.assertGaps("dY");
      x.assertGaps("x");
    }

    @Override
    public void close() {
      linear.close();
      workspace.close();
      for (DeviceMatrix matrix : List.of(g, x, dy, y, dx)) {
        matrix.close();
      }
    }
  }

  private void check(Device device, Case tested) {
    Shape shape = tested.shape;
    Dropout dropout = tested.p == 0 ? null : new Dropout(tested.p, seed, 3, 1);
    double[][] kept = mask(shape.m, shape.k, dropout, MODULE);
    boolean noBackward = tested.path == LoraPath.BORDERED && dropout != null;
    LoraPath backward = noBackward ? LoraPath.SPLIT : tested.path;
    int gap = shape.gap;
    try (Fixture f = new Fixture(device, tested.type, shape);
        DeviceMatrix da = DeviceMatrix.poisoned(device, DType.FLOAT32, shape.r, shape.k, gap);
        DeviceMatrix db = DeviceMatrix.poisoned(device, DType.FLOAT32, shape.n, shape.r, gap)) {
      double[][] operand = f.g.values();
      Estimate s = f.checkForward(tested.path, dropout, kept);
      f.checkBackward(backward, dropout, kept, s, da, db, false);
      da.put(DeviceMatrix.randomValues(random, shape.r, shape.k));
      db.put(DeviceMatrix.randomValues(random, shape.n, shape.r));
      f.checkBackward(backward, dropout, kept, s, da, db, true);
      assertArrayEquals(operand, f.g.values(), "G");
      f.g.assertGaps("G");
    }
  }

  /**
   * Forward, backward and a step, twice: the second forward pass reads what the first step left.
   */
  private void checkOptimizer(Device device, LoraPath path, DType type) {
    Shape shape = new Shape(21, 43, 30, 6, 3);
    double[][] kept = mask(shape.m, shape.k, null, MODULE);
    int ofA = shape.r * shape.k;
    int length = ofA + shape.n * shape.r;
    double[][] zeros = new double[1][length];
    try (Fixture f = new Fixture(device, type, shape);
        DeviceMatrix weights = DeviceMatrix.random(device, DType.FLOAT32, random, 1, length, 0);
        DeviceMatrix gradients = DeviceMatrix.poisoned(device, DType.FLOAT32, 1, length, 0);
        DeviceMatrix mean = new DeviceMatrix(device, DType.FLOAT32, 1, length, 0, zeros);
        DeviceMatrix square = new DeviceMatrix(device, DType.FLOAT32, 1, length, 0, zeros)) {
      f.poison(f.linear.a());
      f.poison(f.linear.b());
      double[][] frozen = DeviceMatrix.read(device, f.linear.w());
      Matrix flat = gradients.matrix();
      Matrix da =
          new Matrix(flat.part(0, 0, 1, ofA).data(), DType.FLOAT32, shape.r, shape.k, shape.k);
      Matrix db =
          new Matrix(
              flat.part(0, ofA, 1, length - ofA).data(), DType.FLOAT32, shape.n, shape.r, shape.r);
      List<WeightCopy> copies =
          List.of(new WeightCopy(0, f.linear.a()), new WeightCopy(ofA, f.linear.b()));
      try (AdamW adamw = new AdamW(device, type, length, copies)) {
        adamw.refresh(device, weights.matrix());
        for (int step = 1; step <= 2; step++) {
          assertCopies(f, weights.values()[0]);
          f.checkForward(path, null, kept);
          f.linear.backward(
              path,
              device,
              f.x.matrix(),
              f.dy.matrix(),
              null,
              f.dx.matrix(),
              da,
              db,
              false,
              f.workspace);
          double[] before = weights.values()[0];
          adamw.step(
              device,
              new AdamW.Settings(0.25f, 0.5f, 0.75f, 1e-8f, 0.125f, step),
              weights.matrix(),
              flat,
              mean.matrix(),
              square.matrix());
          assertStep(step, before, weights, gradients, mean, square);
        }
        assertCopies(f, weights.values()[0]);
        f.checkForward(path, null, kept);
      }
      assertArrayEquals(frozen, DeviceMatrix.read(device, f.linear.w()), "W is frozen");
      f.g.assertGaps("G");
    }
  }

  /** A and B in G are the weights, rounded. */
  private static void assertCopies(Fixture f, double[] weights) {
    int ofA = f.shape.r * f.shape.k;
    assertCopy(f, Arrays.copyOfRange(weights, 0, ofA), f.linear.a(), "A");
    assertCopy(f, Arrays.copyOfRange(weights, ofA, weights.length), f.linear.b(), "B");
  }

  private static void assertCopy(Fixture f, double[] weights, Matrix copy, String name) {
    int rows = (int) copy.rows();
    int cols = (int) copy.cols();
    double[][] values = new double[rows][];
    for (int i = 0; i < rows; i++) {
      values[i] = Arrays.copyOfRange(weights, i * cols, (i + 1) * cols);
    }
    try (DeviceMatrix rounded = new DeviceMatrix(f.device, f.type, rows, cols, 0, values)) {
      assertArrayEquals(rounded.values(), DeviceMatrix.read(f.device, copy), name);
    }
  }

  /** Loshchilov and Hutter's algorithm 2 with the settings of the test. */
  private static void assertStep(
      int step,
      double[] before,
      DeviceMatrix weights,
      DeviceMatrix gradients,
      DeviceMatrix mean,
      DeviceMatrix square) {
    double[] after = weights.values()[0];
    double[] gradient = gradients.values()[0];
    double[] means = mean.values()[0];
    double[] squares = square.values()[0];
    for (int i = 0; i < before.length; i++) {
      double m = means[i] / (1 - Math.pow(0.5, step));
      double v = squares[i] / (1 - Math.pow(0.75, step));
      double expected = before[i] - 0.25 * (0.125 * before[i] + m / (Math.sqrt(v) + 1e-8));
      assertEquals(expected, after[i], 1e-5, "weight " + i + " after step " + step);
      if (step == 1) {
        assertEquals(gradient[i] / 2, means[i], 1e-6 * Math.abs(gradient[i]), "mean at " + i);
      }
    }
  }
}
