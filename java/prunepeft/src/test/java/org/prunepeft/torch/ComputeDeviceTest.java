package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ComputeDeviceTest {
  @BeforeAll
  static void load() {
    Torch.load();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "cuda:", "cuda:x", "CUDA", "cuda:-1", "cpu:0"})
  void refusesOtherNames(String name) {
    IllegalArgumentException error =
        assertThrows(IllegalArgumentException.class, () -> ComputeDevice.parse(name));
    assertEquals("the device must be cpu, cuda, cuda:N or auto, got " + name, error.getMessage());
  }

  @Test
  void askingForAGpuThatCannotBeUsedFailsWithTheReason() {
    Optional<String> absence = ComputeDevice.cudaAbsence();
    assumeTrue(absence.isPresent(), "there is a GPU");
    IllegalStateException error =
        assertThrows(IllegalStateException.class, () -> ComputeDevice.parse("cuda"));
    assertTrue(error.getMessage().contains(absence.get()), error.getMessage());
    assertTrue(error.getMessage().contains("--device cpu works"), error.getMessage());
    assertEquals(ComputeDevice.CPU, ComputeDevice.parse("auto"));
  }

  @Test
  void aGpuBuildThatJavaIsNotToldToTakeIsNone() {
    String option = "-Dorg.bytedeco.javacpp.platform.extension=-gpu";
    for (String extension : new String[] {null, "", "-other"}) {
      String reason = ComputeDevice.gpuBuildAbsence(true, extension).orElseThrow();
      assertTrue(reason.contains(option), reason);
      assertFalse(reason.contains("CUDA"), reason);
      String alone = ComputeDevice.requiredLibraries(true, false, extension).orElseThrow();
      assertTrue(alone.contains(option), alone);
      // Then the CPU's is loaded.
      assertTrue(ComputeDevice.requiredLibraries(true, true, extension).isEmpty());
    }
    assertTrue(ComputeDevice.gpuBuildAbsence(true, "-gpu").isEmpty());
    assertTrue(ComputeDevice.requiredLibraries(true, true, "-gpu").orElseThrow().contains("cuDNN"));
    String none = ComputeDevice.gpuBuildAbsence(false, "-gpu").orElseThrow();
    assertTrue(none.contains("PRUNEPEFT_GPU=1"), none);
    assertTrue(ComputeDevice.requiredLibraries(false, true, null).isEmpty());
  }

  @Test
  void float32IsMultipliedAsFloat32() {
    assertFalse(torch.globalContext().allowTF32CuDNN());
    assertFalse(torch.globalContext().allowTF32CuBLAS());
  }

  @Test
  void makesAndMovesTensors() {
    try (PointerScope scope = new PointerScope()) {
      ComputeDevice cpu = ComputeDevice.parse("cpu");
      assertEquals("cpu", cpu.toString());
      assertFalse(cpu.isCuda());
      Tensor floats = cpu.floats(new float[] {1, 2, 3, 4}, 2, 2);
      assertSame(floats, cpu.place(floats));
      assertEquals(cpu, ComputeDevice.of(floats));
      assertArrayEquals(new float[] {0, 0, 0}, Torch.toFloats(cpu.zeros(3)));
      Tensor bytes = cpu.bytes(new byte[] {0, 1, -1}, 3);
      assertEquals(torch.ScalarType.Byte, bytes.scalar_type().intern());
      assertEquals(255, bytes.select(0, 2).item_int());
    }
  }

  @Test
  @DisabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void kernelsOfTheCpuRunOnTheCpu() {
    assertFalse(ComputeDevice.CPU.kernels().isCuda());
  }

  /** What the other tests of such a run stand on. */
  @Test
  @EnabledIfSystemProperty(named = "prunepeft.emulated-device", matches = "true")
  void kernelsRunOnTheEmulatedDevice() {
    assertTrue(ComputeDevice.CPU.kernels().isCuda());
  }
}
