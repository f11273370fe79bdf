package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_BELOW;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_COUNT;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_NONZERO;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_SUM_ABS_WG;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_SUM_G2;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_SUM_W2;
import static org.prunepeft.kernels.binding.LibPrunePeft.PP_SUM_WG2;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.kernels.ImportancePlan.Segment;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

/**
 * The same calls on a CUDA device as on the CPU. It runs where the loaded library has a device: in
 * the build, the emulator stands in for one.
 */
@Tag("device")
class DeviceParityTest {
  private static final int M = 37;
  private static final int K = 72;
  private static final int N = 56;
  private static final int R = 8;

  /**
   * What two computations may differ by, of the largest element: the longest way of a term is
   * through sums over two of K, N and M, ranks, and some factors.
   */
  private static final double SHARE = 2 * Rounding.likely(K + N + 20 + 8, Rounding.FLOAT32);

  private final long seed = TestSeed.draw();

  @BeforeEach
  void needsADevice() {
    assumeTrue(
        Device.cudaAbsence().isEmpty(), () -> "no device: " + Device.cudaAbsence().orElse(""));
  }

  /** The buffers and results of a case on one device. */
  private static final class Run implements AutoCloseable {
    final Device device;
    final Context context;
    final List<Runnable> reads = new ArrayList<>();
    final List<float[]> results = new ArrayList<>();
    private final List<DeviceBuffer> buffers = new ArrayList<>();
    private final Random random;

    Run(Device device, long seed) {
      this.device = device;
      context = new Context(device);
      random = new Random(seed);
    }

    DeviceBuffer buffer(float... values) {
      DeviceBuffer buffer = DeviceBuffer.of(device, values);
      buffers.add(buffer);
      return buffer;
    }

    Matrix random(int rows, int cols) {
      float[] values = new float[rows * cols];
      for (int i = 0; i < values.length; i++) {
        values[i] = 2 * random.nextFloat() - 1;
      }
      return buffer(values).matrix(rows, cols);
    }

    /** A poisoned matrix that counts as a result. */
    Matrix result(int rows, int cols) {
      return result(rows, cols, Float.NaN);
    }

    Matrix result(int rows, int cols, float content) {
      float[] values = new float[rows * cols];
      Arrays.fill(values, content);
      DeviceBuffer buffer = buffer(values);
      reads.add(() -> results.add(buffer.floats(rows * cols)));
      return buffer.matrix(rows, cols);
    }

    /** Poisoned memory for a module's mask, behind memory that is not its own. */
    Pointer mask(int rows, int cols) {
      int before = 4;
      float[] values = new float[before + (int) (Linear.keptMaskBytes(rows, cols) / Float.BYTES)];
      Arrays.fill(values, Float.NaN);
      Pointer memory = buffer(values).matrix(1, values.length).data();
      return new FloatPointer(memory).position(before);
    }

    List<float[]> read() {
      device.synchronize();
      reads.forEach(Runnable::run);
      return results;
    }

    @Override
    public void close() {
      context.close();
      buffers.forEach(DeviceBuffer::close);
    }
  }

  /** Runs a case on both, and compares up to what either's sums in float32 may be off by. */
  private void assertSame(Function<Run, List<float[]>> body) {
    List<float[]> cpu;
    List<float[]> cuda;
    try (Run run = new Run(Device.cpu(), seed)) {
      cpu = body.apply(run);
    }
    try (Device device = Device.cuda(0, null);
        Run run = new Run(device, seed)) {
      cuda = body.apply(run);
    }
    assertEquals(cpu.size(), cuda.size());
    for (int i = 0; i < cpu.size(); i++) {
      double largest = Rounding.largest(cpu.get(i));
      Rounding.assertNear(cpu.get(i), cuda.get(i), SHARE * largest, "result " + i);
    }
  }

  private void calls(Run run, List<LoraPass> passes) {
    Matrix x = run.random(M, K);
    Linear.down(run.context, x, passes);
    Linear.up(run.context, passes, run.result(M, N, 1));
    Linear.gradUp(run.context, run.random(M, N), passes);
    Linear.gradDown(run.context, x, passes);
    Linear.addGradInput(run.context, passes, run.result(M, K, 1));
  }

  @Test
  void loraForwardAndBackward() {
    Dropout dropout = new Dropout(0.3f, seed, 3, 5, 1);
    assertSame(
        run -> {
          LoraModule<Matrix> module =
              new LoraModule<>(run.random(R, K), run.random(N, R), 0, null, 2, dropout);
          LoraPass pass =
              new LoraPass(
                  module, run.result(M, R), run.result(M, R), run.result(R, K), run.result(N, R));
          calls(run, List.of(pass));
          return run.read();
        });
  }

  @Test
  void modulesWithDropoutsOfTheirOwn() {
    assertSame(
        run -> {
          List<LoraPass> passes = new ArrayList<>();
          Matrix s = run.result(M, 3 * R);
          Matrix ds = run.result(M, 3 * R);
          for (int i = 0; i < 3; i++) {
            Dropout dropout = i == 0 ? null : new Dropout(0.2f * i, seed, i, 5, 1);
            passes.add(
                new LoraPass(
                    new LoraModule<>(run.random(R, K), run.random(16, R), 16 * i, null, 2, dropout),
                    s.part(0, i * R, M, R),
                    ds.part(0, i * R, M, R),
                    run.result(R, K),
                    run.result(16, R)));
          }
          calls(run, passes);
          return run.read();
        });
  }

  @Test
  void modulesOnRowsOfTheirOwn() {
    int[] ranks = {20, 3, R};
    assertSame(
        run -> {
          List<LoraPass> passes = new ArrayList<>();
          Rows[] rows = {new Rows(1, 9), new Rows(10, 0), new Rows(12, M - 12)};
          Matrix s = run.result(M, 20, 0);
          Matrix ds = run.result(M, 20, 0);
          for (int i = 0; i < ranks.length; i++) {
            Dropout dropout = i == 2 ? null : new Dropout(0.3f, seed, i, 5, 1);
            passes.add(
                new LoraPass(
                    new LoraModule<>(
                        run.random(ranks[i], K), run.random(N, ranks[i]), 0, rows[i], 2, dropout),
                    s.part(0, 0, M, ranks[i]),
                    ds.part(0, 0, M, ranks[i]),
                    run.result(ranks[i], K, 0),
                    run.result(N, ranks[i], 0)));
          }
          calls(run, passes);
          return run.read();
        });
  }

  @Test
  void fusedLinear() {
    Dropout dropout = new Dropout(0.2f, seed, 2, 1, 0);
    assertSame(
        run -> {
          Matrix s = run.result(M, R);
          LoraModule<Matrix> module =
              new LoraModule<>(run.random(R, K), run.random(16, R), 8, null, 0.5f, dropout);
          List<LoraPass> passes = List.of(new LoraPass(module, s, s, null, null));
          try (Linear linear = new Linear(run.context, run.random(N, K), run.random(1, N))) {
            linear.forward(run.context, run.random(M, K), passes, run.result(M, N));
            linear.gradInput(run.context, run.random(M, N), passes, run.result(M, K));
            return run.read();
          }
        });
  }

  /** On the CPU by our own product, on the device by the path. */
  @ParameterizedTest
  @CsvSource({
    "SPLIT, 0, false",
    "SPLIT, 0.2, false",
    "SPLIT, 0.2, true",
    "FUSED, 0, false",
    "FUSED, 0.2, false",
    "FUSED, 0.2, true",
    // Null: by the path that the device's properties choose.
    ", 0, false",
    ", 0.2, false"
  })
  void loraLinear(Linear.Path path, float p, boolean keepMask) {
    Dropout dropout = p == 0 ? null : new Dropout(p, seed, 4, 1, 0);
    assertSame(
        run -> {
          Linear.Paths chosen =
              path != null
                  ? new Linear.Paths(path, path)
                  : Linear.choosePaths(
                      run.device,
                      new Linear.Shape(DType.FLOAT32, M, K, N, List.of((long) R), p > 0 ? 1 : 0));
          LoraModule<Matrix> module =
              new LoraModule<>(run.random(R, K), run.random(N, R), 0, null, 0.5f, dropout);
          LoraPass pass =
              new LoraPass(
                  module, run.result(M, R), run.result(M, R), run.result(R, K), run.result(N, R));
          List<LoraPass> passes = List.of(keepMask ? pass.keeping(run.mask(M, K)) : pass);
          Matrix x = run.random(M, K);
          Matrix dy = run.random(M, N);
          Matrix y = run.result(M, N);
          Matrix dx = run.result(M, K);
          // The frozen linear's own product in place of a library's: every device has it.
          try (Linear linear = new Linear(run.context, run.random(N, K), null)) {
            if (chosen.forward() == Linear.Path.FUSED) {
              linear.forward(run.context, x, passes, y);
            } else {
              linear.forward(run.context, x, List.of(), y);
              Linear.down(run.context, x, passes);
              Linear.up(run.context, passes, y);
            }
            if (chosen.backward() == Linear.Path.FUSED) {
              linear.backward(run.context, dy, x, passes, dx);
            } else {
              Linear.gradUp(run.context, dy, passes);
              linear.gradInput(run.context, dy, List.of(), dx);
              Linear.addGradInput(run.context, passes, dx);
              Linear.gradDown(run.context, x, passes);
            }
            return run.read();
          }
        });
  }

  @Test
  void adapter() {
    assertSame(
        run -> {
          Matrix v = run.random(M, K);
          Adapter.Weights weights =
              new Adapter.Weights(
                  run.random(16, K),
                  run.random(1, 16),
                  run.random(K, 16),
                  run.random(1, K),
                  Activation.GELU);
          Adapter.Pass pass = new Adapter.Pass(weights, v, run.result(M, 16));
          Adapter.forward(run.context, pass, run.random(M, K), run.result(M, K));
          Adapter.Gradients gradients =
              new Adapter.Gradients(
                  run.result(16, K), run.result(1, 16), run.result(K, 16), run.result(1, K));
          Adapter.backward(run.context, pass, run.random(M, K), gradients, run.result(M, K));
          return run.read();
        });
  }

  @Test
  void normsRotationAndGates() {
    assertSame(
        run -> {
          RmsNorm norm = new RmsNorm(run.random(1, K / 2), 1e-5f, true);
          Matrix x = run.random(M, K);
          Matrix scales = run.result(M, 2);
          norm.forward(run.context, x, run.result(M, K), scales);
          norm.backward(run.context, run.random(M, K), x, scales, run.result(M, K));
          Rotary.Table table = new Rotary.Table(run.random(M, 8), run.random(M, 8));
          Rotary rotary = new Rotary(1, M, 3, 20, table, new Rotary.Positions(2, null));
          rotary.forward(run.context, x, run.result(M, K));
          rotary.backward(run.context, x, run.result(M, K));
          for (Gate gate : Gate.values()) {
            Matrix gateUp = run.random(M, 2 * N);
            gate.forward(run.context, gateUp, run.result(M, N));
            gate.backward(run.context, run.random(M, N), gateUp, run.result(M, 2 * N));
          }
          return run.read();
        });
  }

  @Test
  void importance() {
    assertSame(
        run -> {
          List<Segment> segments =
              List.of(
                  new Segment(run.random(1, 1000), run.random(1, 1000), 0, 0),
                  new Segment(run.random(1, 17), run.random(1, 17), 1, 1),
                  new Segment(run.random(1, 333), null, 0, 1));
          try (ImportancePlan plan = new ImportancePlan(run.device, segments, 2, 2)) {
            float[] thresholds = plan.quantiles(0.3);
            List<float[]> results = new ArrayList<>(List.of(thresholds));
            for (double[] row : plan.statistics(DType.FLOAT16, thresholds)) {
              results.add(
                  new float[] {
                    (float) row[PP_COUNT], (float) row[PP_NONZERO], (float) row[PP_BELOW]
                  });
              results.add(new float[] {(float) row[PP_SUM_W2], (float) row[PP_SUM_ABS_WG]});
              results.add(new float[] {(float) row[PP_SUM_WG2], (float) row[PP_SUM_G2]});
            }
            ModuleOutput output =
                new ModuleOutput(
                    run.random(M, R), Activation.RELU, run.random(N, R), run.random(1, N));
            double magnitude = output.magnitude(run.context, null);
            results.add(new float[] {(float) magnitude});
            return results;
          }
        });
  }

  @Test
  void aDeviceThatIsNotThereIsNamed() {
    KernelException error = assertThrows(KernelException.class, () -> Device.cuda(7, null));
    assertTrue(error.getMessage().contains("index 7"), error.getMessage());
  }
}
