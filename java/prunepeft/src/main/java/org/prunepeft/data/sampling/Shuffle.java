package org.prunepeft.data.sampling;

import java.util.SplittableRandom;

/**
 * Fisher-Yates over SplitMix64. Only {@code nextLong} of the generator is used: how the JDK draws a
 * bounded number has changed between versions, its 64 bits have not.
 */
public final class Shuffle {
  private Shuffle() {}

  /**
   * Shuffles in place.
   *
   * @param stream distinguishes several shuffles of one seed
   */
  public static void shuffle(int[] values, long seed, long stream) {
    SplittableRandom random = new SplittableRandom(mixed(seed, stream));
    for (int i = values.length - 1; i > 0; i--) {
      int j = (int) Long.remainderUnsigned(random.nextLong(), i + 1);
      int value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
  }

  /** A seed of its own for each stream, so that neighbouring seeds and streams share nothing. */
  public static long mixed(long seed, long stream) {
    return new SplittableRandom(new SplittableRandom(seed).nextLong() ^ stream).nextLong();
  }
}
