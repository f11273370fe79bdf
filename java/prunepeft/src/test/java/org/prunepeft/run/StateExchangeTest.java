package org.prunepeft.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;

/** On a GPU too, where there is one. */
class StateExchangeTest {
  @TempDir private Path temporary;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static float[] drawn(int count) {
    float[] values = new float[count];
    var random = TestSeed.random();
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private Path saved(Tensor tensor) throws IOException {
    Map<String, SafeTensors.Source> tensors = new LinkedHashMap<>();
    new StateSaver("part/", tensors, new LinkedHashMap<>()).tensor("values", tensor);
    Path file = temporary.resolve("state.safetensors");
    SafeTensors.write(file, tensors, Map.of());
    return file;
  }

  private static void load(Path file, Tensor into) throws IOException {
    try (SafeTensors stored = SafeTensors.open(file)) {
      new StateLoader("part/", stored, Map.of()).tensor("values", into);
    }
  }

  /** Of one part, of whole parts and of some with a rest; of a leaf that is trained, too. */
  @ParameterizedTest
  @ValueSource(ints = {1, 1000, 1 << 22, (1 << 23) + 5})
  void aTensorComesBackBitByBit(int count) throws IOException {
    ComputeDevice device = ComputeDevice.parse("auto");
    float[] values = drawn(count);
    try (PointerScope scope = new PointerScope()) {
      Path file = saved(device.floats(values, count).set_requires_grad(true));
      Tensor target = device.zeros(count).set_requires_grad(true);
      long version = target._version();
      load(file, target);
      assertArrayEquals(values, Torch.toFloats(target));
      // What was made of its values before is made again.
      assertTrue(target._version() > version);
      assertTrue(target.requires_grad());
    }
  }

  @Test
  void aTensorOfAnotherSizeIsRefused() throws IOException {
    try (PointerScope scope = new PointerScope()) {
      Path file = saved(Torch.floats(drawn(6), 2, 3));
      Tensor target = Torch.floats(new float[5], 5);
      UnresumableRunException error =
          assertThrows(UnresumableRunException.class, () -> load(file, target));
      assertTrue(
          error.getMessage().contains("24 bytes for part/values, but this run has 20"),
          error.getMessage());
      assertEquals(0, target.abs().sum().item_double());
    }
  }
}
