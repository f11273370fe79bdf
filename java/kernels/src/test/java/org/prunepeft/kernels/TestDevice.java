package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

/** The CUDA device that the loaded library has; in the build, the emulator stands in for one. */
final class TestDevice {
  private TestDevice() {}

  /** Skips the test where there is none. */
  static Device open() {
    assumeTrue(
        Device.cudaAbsence().isEmpty(), () -> "no device: " + Device.cudaAbsence().orElse(""));
    return Device.cuda(0, null);
  }

  /** Its memory is the host's, which no library multiplies. */
  static boolean isEmulated() {
    return System.getProperty("java.library.path").contains("stand-in");
  }
}
