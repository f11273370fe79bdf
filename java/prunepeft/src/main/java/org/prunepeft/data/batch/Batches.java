package org.prunepeft.data.batch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.prunepeft.data.sampling.Shuffle;

/**
 * Cuts a data set into batches of like lengths, so that little is padded. Batches are built when
 * the iteration reaches them.
 */
public final class Batches {
  /** Batches in a chunk that is sorted by length: enough for like lengths, few enough to mix. */
  private static final int CHUNK = 50;

  private final EncodedDataset data;
  private final int batchSize;

  /**
   * Batches of a data set.
   *
   * @param batchSize examples in each but perhaps one batch, 1 or more
   * @throws IllegalArgumentException if the batch size is out of range
   */
  public Batches(EncodedDataset data, int batchSize) {
    if (batchSize < 1) {
      throw new IllegalArgumentException("batch size must be at least 1, got " + batchSize);
    }
    this.data = Objects.requireNonNull(data, "data");
    this.batchSize = batchSize;
  }

  /** How many batches an epoch has. */
  public int count() {
    return (int) (((long) data.size() + batchSize - 1) / batchSize);
  }

  /**
   * Every example once, in an order that seed and epoch decide: all are shuffled, each {@value
   * #CHUNK} batches' worth is sorted by length and cut, then the batches are shuffled.
   */
  public Iterable<Batch> shuffled(long seed, int epoch) {
    long epochSeed = Shuffle.mixed(seed, epoch);
    int[] order = IntStream.range(0, data.size()).toArray();
    Shuffle.shuffle(order, epochSeed, 0);
    long chunk = (long) CHUNK * batchSize;
    for (long from = 0; from < order.length; from += chunk) {
      sortByLength(data, order, (int) from, (int) Math.min(order.length, from + chunk));
    }
    int[] batches = IntStream.range(0, count()).toArray();
    Shuffle.shuffle(batches, epochSeed, 1);
    return iterable(order, batches);
  }

  /**
   * Every example once, the longest first, as many in a batch as fit; for predictions.
   *
   * @param tokens of all rows of a batch together, padding included; an example that has more is a
   *     batch for itself
   */
  public static Iterable<Batch> ordered(EncodedDataset data, int tokens) {
    int[] order = IntStream.range(0, data.size()).toArray();
    sortByLength(data, order, 0, order.length);
    List<int[]> batches = new ArrayList<>();
    for (int from = 0; from < order.length; ) {
      // A text may have no tokens.
      int ofExample = Math.max(1, data.length(order[from]) * data.towers());
      int to = Math.min(order.length, from + Math.max(1, tokens / ofExample));
      batches.add(Arrays.copyOfRange(order, from, to));
      from = to;
    }
    return () -> batches.stream().map(batch -> Batch.of(data, batch)).iterator();
  }

  private static void sortByLength(EncodedDataset data, int[] order, int from, int to) {
    List<Integer> sorted =
        Arrays.stream(order, from, to)
            .boxed()
            .sorted(Comparator.comparingInt((Integer i) -> data.length(i)).reversed())
            .toList();
    for (int i = from; i < to; i++) {
      order[i] = sorted.get(i - from);
    }
  }

  private Iterable<Batch> iterable(int[] order, int[] batches) {
    return () -> Arrays.stream(batches).mapToObj(batch -> batch(order, batch)).iterator();
  }

  private Batch batch(int[] order, int batch) {
    int from = batch * batchSize;
    int to = (int) Math.min(order.length, (long) from + batchSize);
    return Batch.of(data, Arrays.copyOfRange(order, from, to));
  }
}
