package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Encoding;
import org.prunepeft.model.SmallBert;

/**
 * Random token sequences of different lengths for {@link SmallBert}, labelled by their first token.
 */
public final class SmallTask {
  public static final Schema SCHEMA = Schema.classification(List.of("a", "b", "c"));

  private SmallTask() {}

  public static EncodedDataset draw(int examples, long seed) {
    return draw(examples, 1, false, seed);
  }

  /** Pairs whose texts are encoded by themselves, labelled by the first one's first token. */
  static EncodedDataset pairs(int examples, long seed) {
    return draw(examples, 2, false, seed);
  }

  /** The same pairs with their texts swapped. */
  static EncodedDataset swappedPairs(int examples, long seed) {
    return draw(examples, 2, true, seed);
  }

  private static EncodedDataset draw(int examples, int towers, boolean swapped, long seed) {
    Random random = new Random(seed);
    List<Encoding> encodings = new ArrayList<>();
    double[] labels = new double[examples];
    for (int i = 0; i < examples * towers; i++) {
      int length = 2 + random.nextInt(SmallBert.CONFIG.positions() - 1);
      int[] ids = random.ints(length, 0, SmallBert.CONFIG.vocabulary()).toArray();
      // In front of the first text.
      int at = swapped && i % 2 == 1 ? i - 1 : i;
      encodings.add(at, new Encoding(ids, new int[length]));
      if (i % towers == 0) {
        labels[i / towers] = ids[0] % SCHEMA.outputs();
      }
    }
    return EncodedDataset.of(encodings, labels, towers);
  }
}
