package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What is refused, on class paths that have the presets' names and not their libraries. */
class CublasProductTest {
  @Test
  void theCpuIsRefusedWhateverLibrariesThereAre() {
    IllegalArgumentException cpu =
        assertThrows(IllegalArgumentException.class, () -> new CublasProduct(Device.cpu()));
    assertEquals("cuBLASLt multiplies on a CUDA device, got the CPU", cpu.getMessage());
  }

  @Test
  @Tag("device")
  void missingLibrariesAreNamedEachTime() {
    assumeTrue(Device.cudaCount() > 0, () -> "no device: " + Device.cudaAbsence().orElse(""));
    try (Device device = Device.cuda(0, null)) {
      for (int attempt = 0; attempt < 2; attempt++) {
        LinkageError missing =
            assertThrows(LinkageError.class, () -> new CublasProduct(device), "try " + attempt);
        String message = missing.getMessage();
        assertTrue(message.contains("add org.bytedeco:cuda with the classifier"), message);
        assertTrue(message.contains(Loader.getPlatform()), message);
        assertTrue(message.contains("org.bytedeco.cuda") || message.contains("jni"), message);
      }
    }
  }

  @Test
  @Tag("device")
  void anotherDeviceIsRefusedByBothIndices() {
    assumeTrue(Device.cudaCount() > 0, () -> "no device: " + Device.cudaAbsence().orElse(""));
    try (Device device = Device.cuda(0, null)) {
      CublasProduct.require(0, device);
      IllegalArgumentException other =
          assertThrows(IllegalArgumentException.class, () -> CublasProduct.require(3, device));
      assertEquals(
          "this CublasProduct is of CUDA device 3, got device 0: make one for each device",
          other.getMessage());
    }
    IllegalArgumentException cpu =
        assertThrows(IllegalArgumentException.class, () -> CublasProduct.require(0, Device.cpu()));
    assertEquals("cuBLASLt multiplies on a CUDA device, got the CPU", cpu.getMessage());
  }
}
