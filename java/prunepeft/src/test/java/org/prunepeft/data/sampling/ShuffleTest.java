package org.prunepeft.data.sampling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ShuffleTest {
  private static int[] shuffled(long seed, long stream) {
    int[] values = IntStream.range(0, 10).toArray();
    Shuffle.shuffle(values, seed, stream);
    return values;
  }

  /** The expected orders come from SplitMix64 written in Python. */
  @Test
  void orderIsThatOfSplitMix64() {
    assertArrayEquals(new int[] {9, 0, 5, 3, 7, 2, 8, 1, 6, 4}, shuffled(42, 1));
    assertArrayEquals(new int[] {2, 1, 0, 4, 6, 9, 3, 5, 8, 7}, shuffled(-7, 3));
  }

  @Test
  void nothingAndOneStay() {
    Shuffle.shuffle(new int[0], 1, 1);
    int[] one = {5};
    Shuffle.shuffle(one, 1, 1);
    assertArrayEquals(new int[] {5}, one);
  }
}
