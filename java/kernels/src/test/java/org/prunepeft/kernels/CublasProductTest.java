package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Random;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;

/**
 * Products on a GPU with CUDA's libraries, and what is refused: also on class paths that have the
 * presets' names and not their libraries.
 */
class CublasProductTest {
  @Test
  void theCpuIsRefusedWhateverLibrariesThereAre() {
    IllegalArgumentException cpu =
        assertThrows(IllegalArgumentException.class, () -> new CublasProduct(Device.cpu()));
    assertEquals("cuBLASLt multiplies on a CUDA device, got the CPU", cpu.getMessage());
  }

  /**
   * Where they are, one is made each time: on an emulated device, as far as CUDA's own driver lets
   * it.
   */
  @Test
  @Tag("device")
  void missingLibrariesAreNamedEachTime() {
    String library = "/org/bytedeco/cuda/" + Loader.getPlatform() + "/libjnicublas.so";
    boolean presets = CublasProduct.class.getResource(library) != null;
    try (Device device = TestDevice.open()) {
      for (int attempt = 0; attempt < 2; attempt++) {
        try (CublasProduct product = new CublasProduct(device)) {
          assertTrue(presets, "made without the presets' libraries");
        } catch (LinkageError missing) {
          String message = missing.getMessage();
          assertTrue(message.contains("add org.bytedeco:cuda with the classifier"), message);
          assertTrue(message.contains(Loader.getPlatform()), message);
          assertTrue(message.contains("org.bytedeco.cuda") || message.contains("jni"), message);
        } catch (IllegalStateException refused) {
          assertTrue(presets && TestDevice.isEmulated(), refused.getMessage());
        }
      }
    }
  }

  /** Both products with W, over parts of matrices. */
  @ParameterizedTest
  @EnumSource(DType.class)
  @Tag("device")
  void productsAreThoseOfPlainLoops(DType type) {
    assumeTrue(
        !TestDevice.isEmulated(),
        "the device is an emulated one, on which cuBLASLt cannot multiply");
    Random random = TestSeed.random();
    int rows = 37;
    int inputs = 48;
    int outputs = 40;
    try (Device device = TestDevice.open();
        DeviceMatrix w = DeviceMatrix.random(device, type, random, outputs, inputs, 3);
        DeviceMatrix x = DeviceMatrix.random(device, type, random, rows, inputs, 0);
        DeviceMatrix bias = DeviceMatrix.random(device, type, random, 1, outputs, 0);
        DeviceMatrix later = DeviceMatrix.random(device, type, random, 2, outputs, 88);
        DeviceMatrix dy = DeviceMatrix.random(device, type, random, rows, outputs, 1);
        CublasProduct product = orSkip(device)) {
      // Twice each: the second time by the algorithm that was kept.
      for (int time = 0; time < 2; time++) {
        check(product, device, x.matrix(), w.matrix(), true, null);
        check(product, device, x.matrix(), w.matrix(), true, bias.matrix());
        // At another place of the same alignment: also by the algorithm that was kept.
        check(product, device, x.matrix(), w.matrix(), true, later.matrix().part(1, 0, 1, outputs));
        check(product, device, dy.matrix(), w.matrix(), false, null);
      }
    }
  }

  private static CublasProduct orSkip(Device device) {
    try {
      return new CublasProduct(device);
    } catch (LinkageError missing) {
      assumeTrue(false, missing.getMessage());
      throw missing;
    }
  }

  private static void check(
      CublasProduct product, Device device, Matrix left, Matrix w, boolean forward, Matrix bias) {
    DType type = left.dtype();
    int cols = (int) (forward ? w.rows() : w.cols());
    String name = "%s, %d x %d over %d".formatted(type, left.rows(), cols, left.cols());
    Estimate a = Estimate.exact(DeviceMatrix.read(device, left), (int) left.cols());
    Estimate b = Estimate.exact(DeviceMatrix.read(device, w), (int) w.cols());
    // Sums in float32, in any order; those of 16-bit products may be cut off in place of rounded.
    double gamma = left.cols() * (type == DType.FLOAT32 ? 1 : 2) * Rounding.FLOAT32;
    try (DeviceMatrix out = DeviceMatrix.poisoned(device, type, (int) left.rows(), cols, 2)) {
      if (forward) {
        product.forward(left, w, bias, out.matrix());
      } else {
        product.gradInput(left, w, out.matrix());
      }
      device.synchronize();
      Estimate expected = a.times(forward ? b.transposed() : b, gamma);
      if (bias != null) {
        Estimate row = Estimate.exact(DeviceMatrix.read(device, bias), cols);
        expected = expected.plusRow(row, gamma);
      }
      out.assertWithin(expected.rounded(type), name);
    }
  }
}
