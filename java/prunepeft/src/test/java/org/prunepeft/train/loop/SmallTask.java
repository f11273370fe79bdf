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
    Random random = new Random(seed);
    List<Encoding> encodings = new ArrayList<>();
    double[] labels = new double[examples];
    for (int i = 0; i < examples; i++) {
      int length = 2 + random.nextInt(SmallBert.CONFIG.positions() - 1);
      int[] ids = random.ints(length, 0, SmallBert.CONFIG.vocabulary()).toArray();
      encodings.add(new Encoding(ids, new int[length]));
      labels[i] = ids[0] % SCHEMA.outputs();
    }
    return EncodedDataset.of(encodings, labels);
  }
}
