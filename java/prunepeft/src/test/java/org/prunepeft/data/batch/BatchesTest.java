package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.Example;
import org.prunepeft.data.PairEncoding;

class BatchesTest {
  private static Tokenizer tokenizer;
  private static EncodedDataset data;

  /** 1,237 texts of 1 to 61 words in no order, a third of them pairs. */
  @BeforeAll
  static void encode() {
    tokenizer = MiniLm.tokenizer(40);
    data =
        EncodedDataset.of(
            tokenizer,
            IntStream.range(0, 1237)
                .mapToObj(
                    i -> {
                      String text = "word ".repeat(1 + i * 23 % 61);
                      return new Example(text, i % 3 == 0 ? "number " + i : null, i % 5);
                    })
                .toList());
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static List<Integer> indices(Iterable<Batch> batches) {
    List<Integer> indices = new ArrayList<>();
    batches.forEach(batch -> Arrays.stream(batch.indices()).forEach(indices::add));
    return indices;
  }

  @Test
  void textsWithoutTokensAreBatchedToo() {
    Encoding empty = new Encoding(new int[0], new int[0]);
    EncodedDataset none = EncodedDataset.of(List.of(empty, empty), new double[2]);
    assertEquals(List.of(0, 1), indices(Batches.ordered(none, 100)).stream().sorted().toList());
  }

  @Test
  void everyExampleComesOnce() {
    List<Integer> all = IntStream.range(0, data.size()).boxed().toList();
    for (int batchSize : new int[] {1, 7, 32, 1236, 1237, Integer.MAX_VALUE}) {
      Batches batches = new Batches(data, batchSize);
      assertEquals(all, indices(batches.shuffled(3, 1)).stream().sorted().toList());
    }
    for (int tokens : new int[] {1, 100, 1024, Integer.MAX_VALUE}) {
      assertEquals(all, indices(Batches.ordered(data, tokens)).stream().sorted().toList());
    }
  }

  @Test
  void onlyOneBatchIsNotFull() {
    int partial = 0;
    int count = 0;
    Batches batches = new Batches(data, 32);
    for (Batch batch : batches.shuffled(3, 1)) {
      count++;
      partial += batch.rows() < 32 ? 1 : 0;
    }
    assertEquals(1, partial);
    assertEquals(39, count);
    assertEquals(39, batches.count());
  }

  @Test
  void seedAndEpochDecideTheOrder() {
    Batches batches = new Batches(data, 16);
    Iterable<Batch> epoch = batches.shuffled(3, 1);
    List<Integer> order = indices(epoch);
    assertEquals(order, indices(epoch));
    assertEquals(order, indices(batches.shuffled(3, 1)));
    assertNotEquals(order, indices(batches.shuffled(3, 2)));
    assertNotEquals(order, indices(batches.shuffled(4, 1)));
  }

  @Test
  void epochsDoNotRepeatUnderTheNextSeed() {
    Batches batches = new Batches(data, 16);
    assertNotEquals(indices(batches.shuffled(3, 2)), indices(batches.shuffled(4, 1)));
  }

  @Test
  void rowsArePaddedWithZerosAndMasked() {
    for (Batch batch : new Batches(data, 9).shuffled(5, 0)) {
      int longest = 0;
      for (int row = 0; row < batch.rows(); row++) {
        int index = batch.indices()[row];
        int[] ids = data.encoding(index).ids();
        int[] types = data.encoding(index).types();
        longest = Math.max(longest, ids.length);
        for (int i = 0; i < batch.length(); i++) {
          int at = row * batch.length() + i;
          boolean token = i < ids.length;
          assertEquals(token ? ids[i] : 0, batch.ids()[at]);
          assertEquals(token ? types[i] : 0, batch.types()[at]);
          assertEquals(token ? 1 : 0, batch.mask()[at]);
        }
        assertEquals(data.target(index), batch.targets()[row]);
      }
      assertEquals(longest, batch.length());
      assertEquals(batch.rows() * batch.length(), batch.ids().length);
    }
  }

  @Test
  void sortingInChunksLeavesLittlePadding() {
    long padded = 0;
    for (Batch batch : new Batches(data, 16).shuffled(5, 0)) {
      padded += (long) batch.rows() * batch.length();
    }
    assertTrue(padded < 1.1 * data.tokens(), padded + " for " + data.tokens());
  }

  @Test
  void orderedGoesFromLongToShort() {
    int last = Integer.MAX_VALUE;
    for (int index : indices(Batches.ordered(data, 200))) {
      assertTrue(data.encoding(index).ids().length <= last);
      last = data.encoding(index).ids().length;
    }
  }

  @Test
  void orderedBatchesHaveAsManyRowsAsTheirTokensAllow() {
    int tokens = 100;
    int before = 0;
    for (Batch batch : Batches.ordered(data, tokens)) {
      assertTrue(batch.rows() == 1 || batch.rows() * batch.length() <= tokens);
      // The first example would not have fitted into the batch before.
      assertTrue(before == 0 || before > tokens, before + " tokens");
      before = (batch.rows() + 1) * batch.length();
    }
  }

  @Test
  void subsetKeepsTheOrderOfItsIndices() {
    EncodedDataset subset = data.subset(List.of(12, 3, 700));
    assertEquals(3, subset.size());
    assertArrayEquals(data.encoding(3).ids(), subset.encoding(1).ids());
    assertArrayEquals(data.encoding(12).types(), subset.encoding(0).types());
    assertArrayEquals(new double[] {2, 3, 0}, subset.targets());
    assertEquals(
        data.encoding(12).ids().length
            + data.encoding(3).ids().length
            + data.encoding(700).ids().length,
        subset.tokens());
    assertThrows(IndexOutOfBoundsException.class, () -> data.subset(List.of(1237)));
  }

  @Test
  void callersCannotChangeTheData() {
    data.targets()[0] = -1;
    assertEquals(0, data.target(0));
  }

  @Test
  void emptyDataHasNoBatches() {
    EncodedDataset empty = data.subset(List.of());
    assertFalse(new Batches(empty, 4).shuffled(1, 1).iterator().hasNext());
    assertFalse(Batches.ordered(empty, 4).iterator().hasNext());
  }

  @Test
  void textsOfAPairThatAreEncodedByThemselvesAreRowsOneBelowTheOther() {
    List<Example> pairs =
        IntStream.range(0, 37)
            .mapToObj(i -> new Example("word ".repeat(1 + i * 7 % 11), "number " + i, i % 5))
            .toList();
    EncodedDataset separate = EncodedDataset.of(tokenizer, pairs, PairEncoding.SEPARATE);
    assertEquals(37, separate.size());
    assertEquals(2, separate.towers());
    EncodedDataset some = separate.subset(List.of(5, 2, 30, 31, 7));
    Batch whole = Batch.of(some, new int[] {3, 1, 4, 0});
    List<Batch> parts = whole.split(some, 3);
    assertEquals(List.of(3, 1), parts.stream().map(Batch::examples).toList());
    Batch joined =
        Batch.concatenated(parts.stream().map(part -> part.padded(whole.length())).toList());
    assertArrayEquals(whole.ids(), joined.ids());
    assertArrayEquals(whole.targets(), joined.targets());
    assertArrayEquals(whole.indices(), joined.indices());
    assertEquals(8, whole.rows());
    int[] places = {31, 2, 7, 5};
    Batch texts = whole.texts();
    for (int row = 0; row < whole.rows(); row++) {
      Example pair = pairs.get(places[row / 2]);
      int[] ids = tokenizer.encode(row % 2 == 0 ? pair.text() : pair.pair(), null).ids();
      for (int i = 0; i < whole.length(); i++) {
        assertEquals(i < ids.length ? ids[i] : 0, whole.ids()[row * whole.length() + i]);
      }
      assertEquals(pair.target(), whole.targets()[row / 2]);
      assertArrayEquals(ids, some.texts().encoding(texts.indices()[row]).ids());
    }
  }

  @Test
  void batchSizeBelowOneIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Batches(data, 0));
  }
}
