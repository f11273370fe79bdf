package org.prunepeft.torch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.kernels.Matrix;

class TorchTest {
  @BeforeAll
  static void load() {
    Torch.load();
  }

  private static void assertMatrix(long rows, long cols, long ld, Tensor tensor) {
    Matrix matrix = Torch.matrix(tensor);
    assertEquals(rows, matrix.rows());
    assertEquals(cols, matrix.cols());
    assertEquals(ld, matrix.ld());
  }

  @Test
  void stridesThatNothingGoesByAreOfNoAccount() {
    try (PointerScope scope = new PointerScope()) {
      Tensor whole = RandomTensors.normal(5, 7);
      assertMatrix(5, 7, 7, whole);
      assertMatrix(5, 3, 7, whole.narrow(1, 2, 3));
      // One column, and one row, of which the other stride is left.
      assertMatrix(5, 1, 1, RandomTensors.normal(1, 5).t());
      assertMatrix(5, 1, 7, whole.narrow(1, 2, 1));
      assertMatrix(1, 7, 7, whole.narrow(0, 2, 1));
      assertMatrix(1, 7, 7, RandomTensors.normal(7).expand(1, 7));
      assertMatrix(1, 1, 1, whole.select(1, 3).narrow(0, 1, 1));
      assertMatrix(0, 7, 7, torch.zeros(0, 7));
      assertMatrix(0, 7, 7, torch.zeros(1).expand(0, 7));
      assertMatrix(5, 0, 1, torch.zeros(5, 0));
    }
  }

  @Test
  void rowsThatOverlapAreRefused() {
    try (PointerScope scope = new PointerScope()) {
      for (Tensor overlapping :
          new Tensor[] {
            RandomTensors.normal(7).expand(2, 7),
            RandomTensors.normal(20).as_strided(new long[] {3, 7}, new long[] {6, 1}),
            RandomTensors.normal(1, 1).expand(4, 1)
          }) {
        String message =
            assertThrows(IllegalArgumentException.class, () -> Torch.matrix(overlapping))
                .getMessage();
        assertTrue(message.contains("overlap"), message);
        assertEquals(overlapping.size(0), Torch.matrix(overlapping.contiguous()).rows());
      }
      for (Tensor strided :
          new Tensor[] {
            RandomTensors.normal(5, 7).t(),
            RandomTensors.normal(5, 7).select(1, 3),
            RandomTensors.normal(5, 1).expand(5, 4)
          }) {
        assertThrows(IllegalArgumentException.class, () -> Torch.matrix(strided));
      }
    }
  }
}
