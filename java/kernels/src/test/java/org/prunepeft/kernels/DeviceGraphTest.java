package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** On a CUDA device; in the build, the emulator stands in for one. */
@Tag("device")
class DeviceGraphTest {
  private static final int M = 21;
  private static final int K = 40;
  private static final int N = 24;
  private static final int R = 8;

  private final Random random = new Random();

  @BeforeEach
  void needsADevice() {
    assumeTrue(Device.cudaCount() > 0, () -> "no device: " + Device.cudaAbsence().orElse(""));
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
    final Device device;
    final DeviceBuffer x;
    final DeviceBuffer a;
    final DeviceBuffer b;
    final DeviceBuffer s;
    final DeviceBuffer y;
    final Workspace workspace = new Workspace();

    Lora(Device device, float[] a, float[] b) {
      this.device = device;
      x = new DeviceBuffer(device, 4 * M * K);
      this.a = DeviceBuffer.of(device, a);
      this.b = DeviceBuffer.of(device, b);
      s = new DeviceBuffer(device, 4 * M * R);
      y = DeviceBuffer.of(device, new float[M * N]);
    }

    void enqueue() {
      LoraBranch branch = new LoraBranch(a.matrix(R, K), 1, 0, s.matrix(M, R), null);
      LoraKernels.down(device, x.matrix(M, K), List.of(branch), null, null, workspace);
      LoraKernels.up(device, s.matrix(M, R), b.matrix(N, R), y.matrix(M, N), workspace);
    }

    @Override
    public void close() {
      workspace.close();
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
      recorded.enqueue(); // the workspace grows
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

  @Test
  void whatAllocatesCannotBeRecordedAndTheStreamWorksOn() {
    float[] a = values(R * K);
    float[] b = values(N * R);
    try (Device stream = Device.cudaWithOwnStream(0);
        Lora lora = new Lora(stream, a, b)) {
      lora.x.put(values(M * K));
      KernelException growing =
          assertThrows(KernelException.class, () -> DeviceGraph.record(stream, lora::enqueue));
      assertTrue(growing.getMessage().contains("allocating device memory"), growing.getMessage());
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
  void aWorkspaceHoldsABlockForEachStream() {
    try (Device plain = Device.cuda(0, null);
        Device again = Device.cuda(0, null);
        Device stream = Device.cudaWithOwnStream(0);
        Workspace workspace = new Workspace()) {
      long first = workspace.atLeast(plain, 10_000).address();
      long other = workspace.atLeast(stream, 20_000).address();
      assertNotEquals(first, other);
      assertEquals(first, workspace.atLeast(again, 5_000).address());
      assertEquals(other, workspace.atLeast(stream, 20_000).address());
      assertEquals(30_000, workspace.bytes());
      workspace.atLeast(Device.cpu(), 7_000);
      assertEquals(37_000, workspace.bytes());
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
