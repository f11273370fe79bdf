package org.prunepeft.model;

import java.util.Arrays;

/**
 * Scales of NF4 that are quantised once more, as bitsandbytes does it (double quantisation): less
 * their mean, in blocks of {@value #BLOCK}, each value as the nearest of 256 numbers between -1 and
 * 1, times the block's largest magnitude.
 */
final class NestedScales {
  private static final int BLOCK = 256;
  private static final int DECADES = 7;

  /** Ascending. */
  private static final float[] MEANINGS = meanings();

  private NestedScales() {}

  /**
   * The dynamic data type of 8 bits (Dettmers 2015): decades up to 1, of which the i-th has the
   * middles of 2^i parts of [0.1, 1] with either sign; and 0 and 1. bitsandbytes computes it in
   * float32, in an order that is the processor's: its last bits may be others.
   */
  private static float[] meanings() {
    float[] all = new float[256];
    int count = 0;
    for (int decade = 0; decade < DECADES; decade++) {
      int parts = 1 << decade;
      double scale = Math.pow(10, decade - DECADES + 1);
      for (int i = 0; i < parts; i++) {
        float middle = (float) (scale * (0.1 + 0.9 * (i + 0.5) / parts));
        all[count++] = middle;
        all[count++] = -middle;
      }
    }
    all[count++] = 0;
    all[count] = 1;
    Arrays.sort(all);
    return all;
  }

  /**
   * What scales are after quantising and back. Their mean is taken in float64, so that it is the
   * same on each machine.
   *
   * @param scales of a tensor; replaced
   */
  static void round(float[] scales) {
    double sum = 0;
    for (float scale : scales) {
      sum += scale;
    }
    float mean = (float) (sum / scales.length);
    for (int from = 0; from < scales.length; from += BLOCK) {
      int to = Math.min(from + BLOCK, scales.length);
      float largest = 0;
      for (int i = from; i < to; i++) {
        scales[i] -= mean;
        largest = Math.max(largest, Math.abs(scales[i]));
      }
      float inverse = 1 / largest;
      for (int i = from; i < to; i++) {
        scales[i] = (largest == 0 ? 0 : nearest(scales[i] * inverse) * largest) + mean;
      }
    }
  }

  private static float nearest(float value) {
    int found = Arrays.binarySearch(MEANINGS, value);
    if (found >= 0) {
      return value;
    }
    int above = Math.min(-found - 1, MEANINGS.length - 1);
    int below = Math.max(above - 1, 0);
    float middle = (MEANINGS[below] + MEANINGS[above]) * 0.5f;
    return MEANINGS[value > middle ? above : below];
  }
}
