package org.prunepeft.kernels;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AdapterTest extends CpuTest {
  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, RELU, 0",
    "19, 99, 5, GELU, 3",
    "67, 131, 33, RELU, 2",
    "7, 24, 8, IDENTITY, 1",
    "35, 67, 19, SILU, 1"
  })
  void forwardAndBackwardAgreeWithFloat64(int rows, int k, int m, Activation activation, int gap) {
    Buffer v = Buffer.random(random, rows, k, k + gap);
    Buffer h = Buffer.random(random, rows, k, k + 2 * gap);
    Buffer down = Buffer.random(random, m, k, k + gap);
    Buffer downBias = Buffer.random(random, 1, m);
    Buffer up = Buffer.random(random, k, m, m + gap);
    Buffer upBias = Buffer.random(random, 1, k);
    Adapter.Weights weights =
        new Adapter.Weights(
            down.matrix(), downBias.matrix(), up.matrix(), upBias.matrix(), activation);
    Buffer z = Buffer.poisoned(rows, m, m + gap);
    Buffer out = Buffer.poisoned(rows, k, k + gap);

    Adapter.Pass pass = new Adapter.Pass(weights, v.matrix(), z.matrix());
    Adapter.forward(context, pass, h.matrix(), out.matrix());

    double gamma = Estimate.gamma(Math.max(rows, Math.max(k, m)));
    Estimate expectedZ =
        v.estimate().times(down.estimate().transposed(), gamma).plusRow(downBias.estimate(), gamma);
    z.assertHolds(expectedZ, "z");
    Estimate activated = expectedZ.activated(activation);
    Estimate added =
        activated.times(up.estimate().transposed(), gamma).plusRow(upBias.estimate(), gamma);
    out.assertHolds(h.estimate().plus(added, gamma), "out");

    Buffer dout = Buffer.random(random, rows, k, k + gap);
    Buffer dv = Buffer.poisoned(rows, k, k + 2 * gap);
    Buffer dDown = Buffer.poisoned(m, k, k + gap);
    Buffer dDownBias = Buffer.poisoned(1, m);
    Buffer dUp = Buffer.poisoned(k, m, m + gap);
    Buffer dUpBias = Buffer.poisoned(1, k);
    Adapter.Gradients gradients =
        new Adapter.Gradients(dDown.matrix(), dDownBias.matrix(), dUp.matrix(), dUpBias.matrix());
    // From z as it was written: at a kink the reference must not stand on the other side.
    Estimate slopes = z.estimate().slopes(activation);
    Estimate dz = dout.estimate().times(up.estimate(), gamma).times(slopes);

    Adapter.backward(context, pass, dout.matrix(), gradients, dv.matrix());

    dDown.assertHolds(dz.transposed().times(v.estimate(), gamma), "gradient of down");
    dDownBias.assertHolds(dz.columnSums(gamma), "gradient of downBias");
    dUp.assertHolds(dout.estimate().transposed().times(activated, gamma), "gradient of up");
    dUpBias.assertHolds(dout.estimate().columnSums(gamma), "gradient of upBias");
    dv.assertHolds(dz.times(down.estimate(), gamma), "dv");

    float[] withDv = dDown.floats();
    Adapter.backward(context, pass, dout.matrix(), gradients, null);

    assertArrayEquals(withDv, dDown.floats(), "gradient of down, without dv");
  }

  @Test
  void outMayBeTheBufferOfTheResidual() {
    Buffer v = Buffer.random(random, 9, 21);
    Buffer h = Buffer.random(random, 9, 21);
    Buffer apart = Buffer.poisoned(9, 21);
    Buffer z = Buffer.poisoned(9, 4);
    Adapter.Pass pass = new Adapter.Pass(weights(4, 21), v.matrix(), z.matrix());

    Adapter.forward(context, pass, h.matrix(), apart.matrix());
    Adapter.forward(context, pass, h.matrix(), h.matrix());

    assertArrayEquals(apart.floats(), h.floats(), "out");
  }

  @Test
  void weightsThatDoNotFitAreNamed() {
    Matrix v = Buffer.random(random, 3, 20).matrix();
    Matrix z = Buffer.poisoned(3, 4).matrix();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Adapter.forward(context, new Adapter.Pass(weights(4, 21), v, z), v, v));
    assertEquals("down must be FLOAT32 [4, 20], got FLOAT32 [4, 21]", e.getMessage());
  }

  private Adapter.Weights weights(int m, int k) {
    return new Adapter.Weights(
        Buffer.random(random, m, k).matrix(),
        Buffer.random(random, 1, m).matrix(),
        Buffer.random(random, k, m).matrix(),
        Buffer.random(random, 1, k).matrix(),
        Activation.RELU);
  }
}
