package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.testing.FixedSeed;

@FixedSeed("devices, instruction sets and threads are chosen: the numbers are a prop")
class KernelsTest {
  private static final int INVALID_ARGUMENT = 1;
  private static final int UNSUPPORTED = 2;
  private static final int NO_DEVICE = 3;

  private final int threads = Kernels.threads();
  private final Isa isa = Kernels.isa();

  @AfterEach
  void restore() {
    Kernels.setThreads(threads);
    Kernels.setIsa(isa);
  }

  @Test
  void versionHasThreeNumbers() {
    assertTrue(Kernels.version().matches("\\d+\\.\\d+\\.\\d+"), Kernels.version());
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, Integer.MIN_VALUE})
  void fewerThanOneThreadIsRefusedWithTheNativeMessage(int count) {
    KernelException e = assertThrows(KernelException.class, () -> Kernels.setThreads(count));
    assertEquals(INVALID_ARGUMENT, e.status());
    assertTrue(e.getMessage().contains("threads"), e.getMessage());
    assertTrue(e.getMessage().contains("got " + count), e.getMessage());
    assertEquals(threads, Kernels.threads());
  }

  @Test
  void threadsAreAsTheyWereSet() {
    Kernels.setThreads(3);
    assertEquals(3, Kernels.threads());
  }

  @Test
  void cudaDeviceThatIsNotThereIsRefusedWithTheReason() {
    assumeTrue(Device.cudaCount() == 0, "this machine has a CUDA device");
    KernelException e = assertThrows(KernelException.class, () -> Device.cuda(0, null));
    assertEquals(NO_DEVICE, e.status());
    assertTrue(e.getMessage().matches("no CUDA device with index 0 \\(.+\\)"), e.getMessage());
  }

  @Test
  void negativeCudaDeviceIsRefused() {
    assertThrows(KernelException.class, () -> Device.cuda(-1, null));
  }

  @Test
  void closingTheCpuDoesNothing() {
    Device.cpu().close();
    new Results(new Random(1));
  }

  @Test
  void instructionSetThatTheProcessorLacksIsRefused() {
    assumeTrue(Kernels.supportedIsa() != Isa.AMX, "this processor has them all");
    KernelException e = assertThrows(KernelException.class, () -> Kernels.setIsa(Isa.AMX));
    assertEquals(UNSUPPORTED, e.status());
  }

  @Test
  void instructionSetsAgree() {
    Kernels.setIsa(Isa.PORTABLE);
    assertEquals(Isa.PORTABLE, Kernels.isa());
    Results portable = new Results(new Random(1));
    for (Isa other : Isa.values()) {
      if (other.compareTo(Kernels.supportedIsa()) > 0) {
        continue;
      }
      Kernels.setIsa(other);
      Results results = new Results(new Random(1));
      for (int i = 0; i < portable.buffers.size(); i++) {
        double[][] expected = portable.buffers.get(i).values();
        double largest =
            Arrays.stream(expected).flatMapToDouble(Arrays::stream).map(Math::abs).max().orElse(0);
        results
            .buffers
            .get(i)
            .assertNear(expected, 1e-6 * Math.max(1, largest), other + ", result " + i);
      }
      assertEquals(portable.magnitude, results.magnitude, 1e-6 * portable.magnitude);
    }
  }

  @Test
  void threadCountChangesNoBit() {
    Kernels.setThreads(1);
    Results single = new Results(new Random(2));
    for (int count : new int[] {2, 3}) {
      Kernels.setThreads(count);
      Results results = new Results(new Random(2));
      for (int i = 0; i < single.buffers.size(); i++) {
        assertArrayEquals(
            single.buffers.get(i).floats(),
            results.buffers.get(i).floats(),
            0,
            "result " + i + " at " + count + " threads");
      }
      assertEquals(single.magnitude, results.magnitude);
      assertArrayEquals(single.statistics, results.statistics, 0);
    }
  }

  /**
   * What each family of kernels makes of the same numbers, large enough to be worth several
   * threads.
   */
  private static final class Results {
    private static final int M = 523;
    private static final int K = 387;
    private static final int N = 259;
    private static final int R = 32;

    final List<Buffer> buffers = new ArrayList<>();
    final double[] statistics;
    final double magnitude;

    Results(Random random) {
      Device cpu = Device.cpu();
      Dropout dropout = new Dropout(0.1f, 5, 0, 6, 7);
      Buffer x = Buffer.random(random, M, K);
      Buffer a = Buffer.random(random, R, K);
      Buffer s = result(M, R);
      Buffer da = result(R, K);
      Buffer b = Buffer.random(random, N, R);
      Buffer y = result(Buffer.random(random, M, N));
      Buffer ds = result(M, R);
      Buffer db = result(N, R);
      Buffer dx = result(Buffer.random(random, M, K));
      Adapter.Weights weights =
          new Adapter.Weights(
              Buffer.random(random, R, K).matrix(),
              Buffer.random(random, 1, R).matrix(),
              Buffer.random(random, K, R).matrix(),
              Buffer.random(random, 1, K).matrix(),
              Activation.GELU);
      Buffer z = result(M, R);
      Buffer out = result(M, K);
      Adapter.Gradients gradients =
          new Adapter.Gradients(
              result(R, K).matrix(),
              result(1, R).matrix(),
              result(K, R).matrix(),
              result(1, K).matrix());
      Buffer dv = result(M, K);
      try (Context context = new Context(cpu)) {
        LoraModule<Matrix> module = new LoraModule<>(a.matrix(), b.matrix(), 0, null, 1, dropout);
        List<LoraPass> passes =
            List.of(new LoraPass(module, s.matrix(), ds.matrix(), da.matrix(), db.matrix()));
        Linear.down(context, x.matrix(), passes);
        Linear.up(context, passes, y.matrix());
        Linear.gradUp(context, y.matrix(), passes);
        Linear.gradDown(context, x.matrix(), passes);
        Linear.addGradInput(context, passes, dx.matrix());
        Adapter.Pass pass = new Adapter.Pass(weights, x.matrix(), z.matrix());
        Adapter.forward(context, pass, x.matrix(), out.matrix());
        Adapter.backward(context, pass, out.matrix(), gradients, dv.matrix());
        magnitude =
            new ModuleOutput(s.matrix(), Activation.IDENTITY, b.matrix(), null)
                .magnitude(context, null);
      }
      Matrix flat = Matrix.vector(x.matrix().data(), M * K);
      try (ImportancePlan plan =
          new ImportancePlan(cpu, List.of(new ImportancePlan.Segment(flat, flat, 0, 0)), 1, 1)) {
        statistics = plan.statistics(DType.FLOAT16, plan.quantiles(0.1))[0];
      }
    }

    private Buffer result(int rows, int cols) {
      return result(Buffer.poisoned(rows, cols));
    }

    private Buffer result(Buffer buffer) {
      buffers.add(buffer);
      return buffer;
    }
  }
}
