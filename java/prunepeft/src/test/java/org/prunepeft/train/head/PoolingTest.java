package org.prunepeft.train.head;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Arrays;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;

class PoolingTest {
  private static final int LENGTH = 6;
  private static final int HIDDEN = 5;
  private static final int[] TOKENS = {4, 1, 6, 2};

  @BeforeAll
  static void load() {
    Torch.load();
  }

  /** No two states are the same, padding's neither. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void realTokensAlonePoolIntoAText(boolean left) {
    Random random = TestSeed.random();
    float[] states = new float[TOKENS.length * LENGTH * HIDDEN];
    for (int i = 0; i < states.length; i++) {
      states[i] = (float) random.nextGaussian();
    }
    byte[] mask = new byte[TOKENS.length * LENGTH];
    float[] last = new float[TOKENS.length * HIDDEN];
    float[] mean = new float[last.length];
    for (int row = 0; row < TOKENS.length; row++) {
      int from = row * LENGTH + (left ? LENGTH - TOKENS[row] : 0);
      int end = from + TOKENS[row];
      Arrays.fill(mask, from, end, (byte) 1);
      for (int k = 0; k < HIDDEN; k++) {
        last[row * HIDDEN + k] = states[(end - 1) * HIDDEN + k];
        double sum = 0;
        for (int t = from; t < end; t++) {
          sum += states[t * HIDDEN + k];
        }
        mean[row * HIDDEN + k] = (float) (sum / TOKENS[row]);
      }
    }
    long[] ids = new long[mask.length];
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      EncoderInput input = EncoderInput.of(ids, ids, mask, TOKENS.length, LENGTH);
      Tensor hidden = Torch.floats(states, mask.length, HIDDEN);
      assertArrayEquals(last, Torch.toFloats(Pooling.LAST.of(hidden, input)));
      // A sum of at most LENGTH states, a division, and what is expected is rounded.
      double limit = Rounding.gamma(LENGTH + 2, Rounding.FLOAT32) * Rounding.largest(states);
      Rounding.assertNear(mean, Torch.toFloats(Pooling.MEAN.of(hidden, input)), limit, "means");
    }
  }
}
