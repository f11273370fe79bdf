package org.prunepeft.generate.decoding;

import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.prunepeft.data.sampling.Shuffle;
import org.prunepeft.generate.GenerationSettings;

/** Chooses a text's next tokens. */
final class Sampler {
  private final GenerationSettings settings;
  private final SplittableRandom random;

  /**
   * @param prompt the number of the text, from 0
   */
  Sampler(GenerationSettings settings, int prompt) {
    this.settings = settings;
    random = new SplittableRandom(Shuffle.mixed(settings.seed(), prompt));
  }

  /**
   * The next token's id.
   *
   * @param logits of all tokens, finite; the lowest id of equal ones is the most probable
   */
  int next(float[] logits) {
    return settings.temperature() == 0 ? highest(logits) : draw(logits);
  }

  private static int highest(float[] logits) {
    int best = 0;
    for (int i = 1; i < logits.length; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    return best;
  }

  private int draw(float[] logits) {
    double largest = logits[highest(logits)];
    double[] weights = new double[logits.length];
    for (int id = 0; id < weights.length; id++) {
      weights[id] = Math.exp((logits[id] - largest) / settings.temperature());
    }
    int[] ids = candidates(logits, weights);
    int count = nucleus(ids, weights);
    double left = random.nextDouble() * sum(ids, count, weights);
    int i = 0;
    while (i < count - 1 && left >= weights[ids[i]]) {
      left -= weights[ids[i++]];
    }
    return ids[i];
  }

  /** All tokens, or the most probable ones in order, with all of which one may be drawn. */
  private int[] candidates(float[] logits, double[] weights) {
    if (limited(weights)) {
      return mostProbable(logits, settings.topK());
    }
    if (settings.topP() == 1) {
      return IntStream.range(0, weights.length).toArray();
    }
    // All that weigh less have no more than the other share together.
    double least = (1 - settings.topP()) * Arrays.stream(weights).sum() / weights.length;
    int count = (int) Arrays.stream(weights).filter(weight -> weight >= least).count();
    return mostProbable(logits, count);
  }

  private boolean limited(double[] weights) {
    return settings.topK() > 0 && settings.topK() < weights.length;
  }

  /** How many of the first candidates have the share of top-p together. */
  private int nucleus(int[] ids, double[] weights) {
    if (settings.topP() == 1) {
      return ids.length;
    }
    double all = limited(weights) ? sum(ids, ids.length, weights) : Arrays.stream(weights).sum();
    double wanted = settings.topP() * all;
    int count = 0;
    double sum = 0;
    while (count < ids.length && (sum < wanted || count == 0)) {
      sum += weights[ids[count++]];
    }
    return count;
  }

  private static double sum(int[] ids, int count, double[] weights) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += weights[ids[i]];
    }
    return sum;
  }

  /**
   * The ids of the largest logits, the largest first and of equal ones the lowest id. Few are
   * sorted: what is smaller than the last ones that were kept is passed over.
   *
   * @param count 1 to as many as there are
   */
  private static int[] mostProbable(float[] logits, int count) {
    long[] kept = new long[(int) Math.min(logits.length, 2L * count)];
    int size = 0;
    long least = Long.MIN_VALUE;
    for (int id = 0; id < logits.length; id++) {
      long rank = rank(logits[id], id);
      if (rank < least) {
        continue;
      }
      if (size == kept.length) {
        Arrays.sort(kept);
        System.arraycopy(kept, size - count, kept, 0, count);
        size = count;
        least = kept[0];
      }
      kept[size++] = rank;
    }
    Arrays.sort(kept, 0, size);
    int last = size - 1;
    return IntStream.range(0, count).map(i -> ~(int) kept[last - i]).toArray();
  }

  /** Larger for a larger logit, and of equal ones for a lower id, which is its lower half. */
  private static long rank(float logit, int id) {
    // -0 is 0.
    int bits = Float.floatToIntBits(logit + 0f);
    int ordered = bits ^ (bits >> 31 & Integer.MAX_VALUE);
    return (long) ordered << 32 | ~id & 0xffffffffL;
  }
}
