package org.prunepeft.generate.decoding;

import java.util.Arrays;
import java.util.Comparator;
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
   * @param logits of all tokens; the lowest id of equal ones is the most probable
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
    boolean all = settings.topK() == 0 && settings.topP() == 1;
    int[] ids =
        all
            ? IntStream.range(0, logits.length).toArray()
            : IntStream.range(0, logits.length)
                .boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> -logits[i]))
                .limit(settings.topK() == 0 ? logits.length : settings.topK())
                .mapToInt(Integer::intValue)
                .toArray();
    double largest = logits[highest(logits)];
    double[] weights =
        Arrays.stream(ids)
            .mapToDouble(id -> Math.exp((logits[id] - largest) / settings.temperature()))
            .toArray();
    double left = random.nextDouble() * Arrays.stream(weights, 0, nucleus(weights)).sum();
    int i = 0;
    while (i < ids.length - 1 && left >= weights[i]) {
      left -= weights[i++];
    }
    return ids[i];
  }

  /** How many of the first weights have the share of top-p together. */
  private int nucleus(double[] weights) {
    double wanted = settings.topP() * Arrays.stream(weights).sum();
    int count = 0;
    double sum = 0;
    while (count < weights.length && (sum < wanted || count == 0)) {
      sum += weights[count++];
    }
    return count;
  }
}
