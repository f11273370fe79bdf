package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** On a CUDA device; in the build, the emulator stands in for one. */
@Tag("device")
class MemoryReleaseTest {
  /** More than any device has. */
  private static final long TOO_MUCH = 1L << 52;

  @BeforeEach
  void needsADevice() {
    assumeTrue(
        Device.cudaAbsence().isEmpty(), () -> "no device: " + Device.cudaAbsence().orElse(""));
  }

  @AfterEach
  void nobodyIsAsked() {
    Kernels.releaseMemoryBy(null);
  }

  private static void askForTooMuch() {
    try (Device device = Device.cuda(0, null)) {
      KernelException error =
          assertThrows(KernelException.class, () -> new DeviceBuffer(device, TOO_MUCH));
      assertTrue(error.getMessage().contains("memory"), error.getMessage());
    }
  }

  @Test
  void whoHoldsMemoryIsAskedForIt() {
    List<Integer> asked = new ArrayList<>();
    Kernels.releaseMemoryBy(asked::add);
    askForTooMuch();
    assertEquals(List.of(0), asked);
    try (Device device = Device.cuda(0, null);
        DeviceBuffer enough = new DeviceBuffer(device, 100)) {
      assertEquals(100, enough.bytes());
    }
    assertEquals(List.of(0), asked);
    Kernels.releaseMemoryBy(null);
    askForTooMuch();
    assertEquals(List.of(0), asked);
  }

  @Test
  void whoWasAskedBeforeIsGiven() {
    IntPredicate one = device -> false;
    IntPredicate other = device -> true;
    assertNull(Kernels.releaseMemoryBy(one));
    assertSame(one, Kernels.releaseMemoryBy(other));
    assertSame(other, Kernels.releaseMemoryBy(null));
    assertNull(Kernels.releaseMemoryBy(null));
  }

  @Test
  void whatTheAskedThrowsIsNoMemory() {
    Kernels.releaseMemoryBy(
        device -> {
          throw new IllegalStateException("nothing");
        });
    askForTooMuch();
  }
}
