package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.TestSeed;

/** On a CUDA device; in the build, the emulator stands in for one. */
@Tag("device")
class DeviceGraphTest {
  private static final int M = 21;
  private static final int K = 40;
  private static final int N = 24;
  private static final int R = 8;

  private final Random random = TestSeed.random();

  @BeforeEach
  void needsADevice() {
    assumeTrue(
        Device.cudaAbsence().isEmpty(), () -> "no device: " + Device.cudaAbsence().orElse(""));
  }

  private float[] values(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = 2 * random.nextFloat() - 1;
    }
    return values;
  }

  /** S = x Aᵀ and y += S Bᵀ. */
  private final class Lora implements AutoCloseable {
    final DeviceBuffer x;
    final DeviceBuffer a;
    final DeviceBuffer b;
    final DeviceBuffer s;
    final DeviceBuffer y;
    final Context context;

    Lora(Device device, float[] a, float[] b) {
      context = new Context(device);
      x = new DeviceBuffer(device, 4 * M * K);
      this.a = DeviceBuffer.of(device, a);
      this.b = DeviceBuffer.of(device, b);
      s = new DeviceBuffer(device, 4 * M * R);
      y = DeviceBuffer.of(device, new float[M * N]);
    }

    void enqueue() {
      LoraModule<Matrix> module = new LoraModule<>(a.matrix(R, K), b.matrix(N, R), 1);
      List<LoraPass> passes = List.of(new LoraPass(module, s.matrix(M, R)));
      Linear.down(context, x.matrix(M, K), passes);
      Linear.up(context, passes, y.matrix(M, N));
    }

    @Override
    public void close() {
      context.close();
      for (DeviceBuffer buffer : List.of(x, a, b, s, y)) {
        buffer.close();
      }
    }
  }

  @Test
  void aLaunchDoesWhatTheCallsDoWithWhatLiesInTheBuffersThen() {
    float[] a = values(R * K);
    float[] b = values(N * R);
    try (Device stream = Device.cudaWithOwnStream(0);
        Device plain = Device.cuda(0, null);
        Lora recorded = new Lora(stream, a, b);
        Lora direct = new Lora(plain, a, b)) {
      float[] first = values(M * K);
      recorded.x.put(first);
      direct.x.put(first);
      recorded.enqueue(); // the scratch memory grows
      direct.enqueue();
      try (DeviceGraph graph = DeviceGraph.record(stream, recorded::enqueue)) {
        stream.synchronize();
        assertArrayEquals(
            direct.y.floats(M * N), recorded.y.floats(M * N), "recording runs nothing");
        for (int launch = 0; launch < 3; launch++) {
          float[] next = values(M * K);
          recorded.x.put(next);
          direct.x.put(next);
          float[] before = direct.y.floats(M * N);
          direct.enqueue();
          graph.launch(launch == 1 ? plain : stream);
          assertArrayEquals(direct.y.floats(M * N), recorded.y.floats(M * N));
          assertFalse(Arrays.equals(before, recorded.y.floats(M * N)));
        }
      }
    }
  }

  /** A LoRA's forward and backward pass: S, dS, dB, dA and dX += its part. */
  private final class Step implements AutoCloseable {
    final DeviceBuffer x;
    final DeviceBuffer dy;
    final DeviceBuffer a;
    final DeviceBuffer b;
    final DeviceBuffer results;
    final Context context;
    private static final int RESULTS = M * R + M * R + N * R + R * K + M * K;

    Step(Device device, float[] x, float[] dy, float[] a, float[] b) {
      context = new Context(device);
      this.x = DeviceBuffer.of(device, x);
      this.dy = DeviceBuffer.of(device, dy);
      this.a = DeviceBuffer.of(device, a);
      this.b = DeviceBuffer.of(device, b);
      results = DeviceBuffer.of(device, new float[RESULTS]);
    }

    private Matrix result(int first, int rows, int cols) {
      return Matrix.of(new BytePointer(results.pointer()).position(4L * first), rows, cols);
    }

    void enqueue(Dropout dropout) {
      Matrix s = result(0, M, R);
      Matrix ds = result(M * R, M, R);
      Matrix db = result(2 * M * R, N, R);
      Matrix da = result(2 * M * R + N * R, R, K);
      Matrix dx = result(2 * M * R + N * R + R * K, M, K);
      LoraModule<Matrix> module =
          new LoraModule<>(a.matrix(R, K), b.matrix(N, R), 0, null, 2, dropout);
      List<LoraPass> passes = List.of(new LoraPass(module, s, ds, da, db));
      Linear.down(context, x.matrix(M, K), passes);
      Linear.gradUp(context, dy.matrix(M, N), passes);
      Linear.gradDown(context, x.matrix(M, K), passes);
      Linear.addGradInput(context, passes, dx);
    }

    float[] results() {
      return results.floats(RESULTS);
    }

    @Override
    public void close() {
      context.close();
      for (DeviceBuffer buffer : List.of(x, dy, a, b, results)) {
        buffer.close();
      }
    }
  }

  @Test
  void aLaunchDrawsTheMaskOfTheStepThatLiesInMemoryThen() {
    float[] x = values(M * K);
    float[] dy = values(M * N);
    float[] a = values(R * K);
    float[] b = values(N * R);
    try (Device stream = Device.cudaWithOwnStream(0);
        Device plain = Device.cuda(0, null);
        DeviceBuffer counter = new DeviceBuffer(stream, 8);
        IntPointer host = new IntPointer(2);
        Step recorded = new Step(stream, x, dy, a, b);
        Step direct = new Step(plain, x, dy, a, b)) {
      Dropout inMemory = new Dropout(0.25f, 7, 0, -1, 65535, counter.pointer());
      host.put(0, 0).put(1, 0);
      counter.put(host, 8);
      recorded.enqueue(inMemory); // the scratch memory grows
      direct.enqueue(new Dropout(0.25f, 7, 0, 0, 0));
      stream.synchronize();
      assertArrayEquals(direct.results(), recorded.results());
      try (DeviceGraph graph = DeviceGraph.record(stream, () -> recorded.enqueue(inMemory))) {
        for (int[] turn : new int[][] {{0, 1}, {1, 0}, {12345, 9}}) {
          float[] before = direct.results();
          host.put(0, turn[0]).put(1, turn[1]);
          counter.put(host, 8);
          graph.launch(stream);
          direct.enqueue(new Dropout(0.25f, 7, 0, turn[0], turn[1]));
          stream.synchronize();
          assertArrayEquals(direct.results(), recorded.results());
          assertFalse(
              Arrays.equals(Arrays.copyOf(before, M * R), Arrays.copyOf(direct.results(), M * R)),
              "another mask");
        }
      }
    }
  }

  @Test
  void whatAllocatesCannotBeRecordedAndTheStreamWorksOn() {
    float[] a = values(R * K);
    float[] b = values(N * R);
    try (Device stream = Device.cudaWithOwnStream(0);
        Lora lora = new Lora(stream, a, b)) {
      lora.x.put(values(M * K));
      KernelException growing =
          assertThrows(KernelException.class, () -> DeviceGraph.record(stream, lora::enqueue));
      assertTrue(
          growing.getMessage().contains("would have to grow to")
              && growing.getMessage().contains("while a graph is recorded"),
          growing.getMessage());
      KernelException allocating =
          assertThrows(
              KernelException.class,
              () -> DeviceGraph.record(stream, () -> new DeviceBuffer(stream, 8).close()));
      assertTrue(
          allocating.getMessage().contains("allocating device memory"), allocating.getMessage());
      IllegalStateException thrown = new IllegalStateException();
      assertSame(
          thrown,
          assertThrows(
              IllegalStateException.class,
              () ->
                  DeviceGraph.record(
                      stream,
                      () -> {
                        throw thrown;
                      })));
      lora.enqueue();
      DeviceGraph.record(stream, lora::enqueue).close();
      stream.synchronize();
    }
  }

  @Test
  void theCpuAndTheDefaultStreamAreRefused() {
    KernelException cpu =
        assertThrows(KernelException.class, () -> DeviceGraph.record(Device.cpu(), () -> {}));
    assertTrue(cpu.getMessage().contains("PP_CPU"), cpu.getMessage());
    try (Device plain = Device.cuda(0, null)) {
      KernelException stream =
          assertThrows(KernelException.class, () -> DeviceGraph.record(plain, () -> {}));
      assertTrue(stream.getMessage().contains("default stream"), stream.getMessage());
    }
  }
}
