package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.kernels.ImportancePlan.Segment;
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

  private final long seed = TestSeed.draw();

  @BeforeEach
  void needsADevice() {
    assumeTrue(
        Device.cudaAbsence().isEmpty(), () -> "no device: " + Device.cudaAbsence().orElse(""));
  }

  /** The buffers and results of a case on one device. */
  private static final class Run implements AutoCloseable {
    final Device device;
    final Workspace workspace = new Workspace();
    final List<Runnable> reads = new ArrayList<>();
    final List<float[]> results = new ArrayList<>();
    private final List<DeviceBuffer> buffers = new ArrayList<>();
    private final Random random;

    Run(Device device, long seed) {
      this.device = device;
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

    List<float[]> read() {
      device.synchronize();
      reads.forEach(Runnable::run);
      return results;
    }

    @Override
    public void close() {
      workspace.close();
      buffers.forEach(DeviceBuffer::close);
    }
  }

  /** Runs a case on both, and compares up to 1e-5 of the largest value. */
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
      float largest = 1e-30f;
      for (float value : cpu.get(i)) {
        largest = Math.max(largest, Math.abs(value));
      }
      for (int j = 0; j < cpu.get(i).length; j++) {
        assertEquals(
            cpu.get(i)[j], cuda.get(i)[j], 1e-5 * largest, "result " + i + ", element " + j);
      }
    }
  }

  @Test
  void loraForwardAndBackward() {
    Dropout dropout = new Dropout(0.3f, seed, 5, 1);
    assertSame(
        run -> {
          Matrix x = run.random(M, K);
          Matrix dy = run.random(M, N);
          Matrix a = run.random(R, K);
          Matrix b = run.random(N, R);
          Matrix s = run.result(M, R);
          Matrix ds = run.result(M, R);
          Matrix db = run.result(N, R);
          LoraBranch branch = new LoraBranch(a, 2, 3, s, null);
          LoraKernels.down(
              run.device, x, List.of(branch), dropout, run.result(M, K), run.workspace);
          Matrix y = run.result(M, N, 0);
          LoraKernels.up(run.device, s, b, y, run.workspace);
          LoraKernels.gradUp(run.device, dy, b, s, 2, ds, db, false, run.workspace);
          LoraBranch back = new LoraBranch(a, 2, 3, ds, run.result(R, K));
          LoraKernels.gradDown(run.device, x, List.of(back), dropout, false, run.workspace);
          Matrix dx = run.result(M, K, 1);
          LoraKernels.gradInput(run.device, List.of(back), dropout, dx, run.workspace);
          return run.read();
        });
  }

  @Test
  void loraOfSeveralAdapters() {
    Dropout dropout = new Dropout(0.3f, seed, 5, 1);
    assertSame(
        run -> {
          Matrix x = run.random(M, K);
          Matrix dy = run.random(M, N);
          List<LoraAdapter> adapters = new ArrayList<>();
          for (int rank : new int[] {R, 3, 20}) {
            adapters.add(
                new LoraAdapter(
                    rank,
                    run.random(rank, K),
                    run.random(N, rank),
                    0.5f * rank,
                    rank,
                    run.result(rank, K, 0),
                    run.result(N, rank, 0)));
          }
          List<LoraSegment> segments =
              List.of(
                  new LoraSegment(1, 9, 2, dropout),
                  new LoraSegment(10, 0, 1, dropout),
                  new LoraSegment(12, M - 12, 0, null));
          Matrix s = run.result(M, 20, 0);
          Matrix ds = run.result(M, 20, 0);
          MultiLoraKernels.down(run.device, x, adapters, segments, s, run.workspace);
          MultiLoraKernels.up(
              run.device, adapters, segments, s, run.result(M, N, 1), run.workspace);
          MultiLoraKernels.gradUp(run.device, dy, adapters, segments, s, ds, true, run.workspace);
          MultiLoraKernels.gradDown(run.device, x, adapters, segments, ds, false, run.workspace);
          MultiLoraKernels.gradInput(
              run.device, adapters, segments, ds, run.result(M, K, 1), run.workspace);
          return run.read();
        });
  }

  @Test
  void fusedLinear() {
    Dropout dropout = new Dropout(0.2f, seed, 1, 0);
    assertSame(
        run -> {
          Matrix x = run.random(M, K);
          Matrix w = run.random(N, K);
          Matrix bias = run.random(1, N);
          Matrix dy = run.random(M, N);
          Matrix s = run.result(M, R);
          LinearBranch branch =
              new LinearBranch(run.random(R, K), run.random(16, R), 0.5f, 2, 8, s);
          try (Linear linear = new Linear(run.device, w, bias)) {
            linear.forward(
                run.device, x, List.of(branch), dropout, run.result(M, N), run.workspace);
            linear.gradInput(
                run.device, dy, List.of(branch), dropout, run.result(M, K), run.workspace);
            return run.read();
          }
        });
  }

  /** Products by the frozen linear's own kernels, which every device has. */
  private static void multiply(
      Device device,
      Matrix left,
      Matrix right,
      boolean transposed,
      Matrix out,
      Workspace workspace) {
    try (Linear linear = new Linear(device, right, null)) {
      if (transposed) {
        linear.forward(device, left, List.of(), null, out, workspace);
      } else {
        linear.gradInput(device, left, List.of(), null, out, workspace);
      }
      device.synchronize();
    }
  }

  /** On the CPU by our own product, on the device by the path. */
  @ParameterizedTest
  @CsvSource({
    "SPLIT, 0",
    "SPLIT, 0.2",
    "BORDERED, 0",
    "FUSED, 0",
    "FUSED, 0.2",
    // Null: by the path that the device's properties choose.
    ", 0",
    ", 0.2"
  })
  void loraLinearAndItsOptimizerStep(LoraPath path, float p) {
    Dropout used = p == 0 ? null : new Dropout(p, seed, 1, 0);
    assertSame(
        run -> {
          Matrix g = run.random(N + R, K + R);
          LoraLinear linear = new LoraLinear(DeviceParityTest::multiply, g, R, 0.5f, 4);
          LoraPath.Both chosen = linear.paths(run.device, M, used);
          LoraPath forward = path == null ? chosen.forward() : path;
          LoraPath backward = path == null ? chosen.backward() : path;
          Matrix weights = run.random(1, R * K + N * R);
          List<WeightCopy> copies =
              List.of(new WeightCopy(0, linear.a()), new WeightCopy(R * K, linear.b()));
          long length = weights.cols();
          try (AdamW adamw = new AdamW(run.device, DType.FLOAT32, length, copies)) {
            adamw.refresh(run.device, weights);
            Matrix x = run.random(M, K + R);
            Matrix dy = run.random(M, N + R);
            Matrix gradients = run.result(1, (int) length, 0);
            Matrix da = gradients.part(0, 0, 1, R * K);
            Matrix db = gradients.part(0, R * K, 1, N * R);
            linear.forward(forward, run.device, x, used, run.result(M, N), run.workspace);
            linear.backward(
                backward,
                run.device,
                x,
                dy,
                used,
                run.result(M, K),
                new Matrix(da.data(), DType.FLOAT32, R, K, K),
                new Matrix(db.data(), DType.FLOAT32, N, R, R),
                false,
                run.workspace);
            Matrix mean = run.result(1, (int) length, 0);
            Matrix square = run.result(1, (int) length, 0);
            adamw.step(
                run.device, AdamW.Settings.of(0.01f, 0.1f, 1), weights, gradients, mean, square);
            linear.forward(run.device, x, used, run.result(M, N), run.workspace);
            return run.read();
          }
        });
  }

  @Test
  void adapter() {
    assertSame(
        run -> {
          Matrix v = run.random(M, K);
          AdapterKernels.Weights weights =
              new AdapterKernels.Weights(
                  run.random(16, K),
                  run.random(1, 16),
                  run.random(K, 16),
                  run.random(1, K),
                  Activation.GELU);
          Matrix z = run.result(M, 16);
          AdapterKernels.forward(
              run.device, v, run.random(M, K), weights, z, run.result(M, K), run.workspace);
          AdapterKernels.Gradients gradients =
              new AdapterKernels.Gradients(
                  run.result(16, K), run.result(1, 16), run.result(K, 16), run.result(1, K));
          AdapterKernels.backward(
              run.device,
              run.random(M, K),
              v,
              z,
              weights,
              gradients,
              false,
              run.result(M, K),
              run.workspace);
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
            for (Statistics row : plan.statistics(DType.FLOAT16, thresholds)) {
              results.add(
                  new float[] {(float) row.count(), (float) row.nonZero(), (float) row.below()});
              results.add(new float[] {(float) row.sumW2(), (float) row.sumAbsWg()});
              results.add(new float[] {(float) row.sumWg2(), (float) row.sumG2()});
            }
            double magnitude =
                ImportancePlan.outputMagnitude(
                    run.device,
                    run.random(M, R),
                    Activation.RELU,
                    run.random(N, R),
                    run.random(1, N),
                    null,
                    run.workspace);
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
