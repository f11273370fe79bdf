package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.kernels.Context;
import org.prunepeft.kernels.Device;

class FrozenWeightTest {
  private static final int OUTPUTS = 77;
  private static final int INPUTS = 130;

  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static float[] product(FrozenWeight linear, Tensor x) {
    try (Context context = new Context(Device.cpu())) {
      Tensor y = ComputeDevice.CPU.emptyMatrix(x.size(0), OUTPUTS, x.scalar_type().intern());
      linear.prepared(context).forward(context, Torch.matrix(x), List.of(), Torch.matrix(y));
      return Torch.toFloats(y.to(torch.ScalarType.Float));
    }
  }

  private static float[] floats(Tensor tensor) {
    return Torch.toFloats(tensor.to(torch.ScalarType.Float));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theKernelsFormStandsForTheWeight(boolean narrow) {
    try (PointerScope scope = new PointerScope()) {
      torch.ScalarType type = narrow ? torch.ScalarType.BFloat16 : torch.ScalarType.Float;
      Tensor w = RandomTensors.normal(OUTPUTS, INPUTS).to(type);
      Tensor x = RandomTensors.normal(5, INPUTS).to(type);
      float[] values = floats(w);
      try (FrozenWeight linear = new FrozenWeight(w, RandomTensors.normal(OUTPUTS).to(type))) {
        linear.keepPreparedAlone();
        assertFalse(w.isNull(), "the kernels have no form yet");
        float[] y = product(linear, x);
        linear.keepPreparedAlone();
        assertTrue(w.isNull());
        assertArrayEquals(y, product(linear, x));
        assertArrayEquals(values, floats(linear.weight()));
        assertArrayEquals(y, product(linear, x));
        linear.keepPreparedAlone();
        assertArrayEquals(values, floats(linear.rows(0, OUTPUTS)));
      }
    }
  }

  /** Also where another row's values are not finite. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theKernelsFormGivesEachValueBack(boolean narrow) {
    try (PointerScope scope = new PointerScope()) {
      torch.ScalarType type = narrow ? torch.ScalarType.BFloat16 : torch.ScalarType.Float;
      Tensor w = RandomTensors.normal(OUTPUTS, INPUTS);
      w.narrow(0, 3, 1).fill_(new Scalar(Float.NaN));
      w.narrow(0, 4, 1).fill_(new Scalar(Float.NEGATIVE_INFINITY));
      w.narrow(0, 5, 1).fill_(new Scalar(-0.0f));
      w.narrow(0, 6, 1).fill_(new Scalar(2e-39f));
      Tensor given = w.to(type);
      float[] values = floats(given);
      try (FrozenWeight linear = new FrozenWeight(given.clone(), null)) {
        product(linear, RandomTensors.normal(2, INPUTS).to(type));
        linear.keepPreparedAlone();
        float[] back = floats(linear.weight());
        for (int i = 0; i < values.length; i++) {
          assertEquals(Float.floatToRawIntBits(values[i]), Float.floatToRawIntBits(back[i]));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aWeightThatHasChangedIsKept(boolean restored) {
    try (PointerScope scope = new PointerScope()) {
      Tensor x = RandomTensors.normal(3, INPUTS);
      Tensor w = RandomTensors.normal(OUTPUTS, INPUTS);
      try (FrozenWeight linear = new FrozenWeight(w, null)) {
        product(linear, x);
        if (restored) {
          linear.keepPreparedAlone();
        }
        linear.weight().zero_();
        linear.keepPreparedAlone();
        assertEquals(0, floats(linear.weight())[0]);
        assertArrayEquals(new float[3 * OUTPUTS], product(linear, x));
      }
    }
  }
}
