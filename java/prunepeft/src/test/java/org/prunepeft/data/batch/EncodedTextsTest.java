package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.prunepeft.data.batch.CharacterTokenizer.END;
import static org.prunepeft.data.batch.CharacterTokenizer.START;
import static org.prunepeft.data.batch.Encoding.NO_LABEL;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.prunepeft.data.TrainingText;
import org.prunepeft.data.TrainingText.Span;
import org.prunepeft.testing.TestSeed;

class EncodedTextsTest {
  private static final int LONGEST = 10;
  private static Tokenizer tokenizer;

  @BeforeAll
  static void open() {
    tokenizer = Tokenizer.of(CharacterTokenizer.json(), LONGEST);
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static EncodedTexts encode(TrainingText... texts) {
    return EncodedTexts.of(tokenizer, List.of(texts), OptionalInt.of(END));
  }

  /** Ids of characters; [ is the start, ] the end, _ no label. */
  private static int[] ids(String characters) {
    return characters
        .chars()
        .map(
            c ->
                switch (c) {
                  case '[' -> START;
                  case ']' -> END;
                  case '_' -> NO_LABEL;
                  default -> CharacterTokenizer.id((char) c);
                })
        .toArray();
  }

  private static void assertEncoded(String tokens, String labels, Encoding encoding) {
    assertArrayEquals(ids(tokens), encoding.ids());
    assertArrayEquals(ids(labels), encoding.labels());
  }

  @Test
  void aTokensLabelIsTheNextTokenOfAText() {
    EncodedTexts texts = encode(TrainingText.of("so it"));
    assertEncoded("[so it]", "so it]_", texts.data().encoding(0));
    assertEquals(6, texts.data().target(0));
  }

  @Test
  void onlyTrainedSpansHaveLabels() {
    TrainingText turns =
        new TrainingText(
            List.of(
                new Span("a:", false),
                new Span("b", true),
                new Span("c:", false),
                new Span("de", true)),
            false,
            false);
    assertEncoded("a:bc:de", "_b__de_", encode(turns).data().encoding(0));
    assertEncoded("[a:b]", "__b]_", encode(TrainingText.of("a:", "b")).data().encoding(0));
  }

  @Test
  void aPromptThatIsLastHasNoLearntEnd() {
    TrainingText text =
        new TrainingText(List.of(new Span("ab", true), new Span("c", false)), true, true);
    assertEncoded("[abc]", "ab___", encode(text).data().encoding(0));
  }

  @Test
  void placesCountCodePoints() {
    TrainingText text =
        new TrainingText(
            List.of(new Span("\uD83D\uDE00\uD83D\uDE00", false), new Span("ab", true)),
            false,
            false);
    Encoding encoding = encode(text).data().encoding(0);
    assertArrayEquals(
        ids("_ab_"),
        Arrays.copyOfRange(
            encoding.labels(), encoding.labels().length - 4, encoding.labels().length));
    assertEquals(2, encoding.learnt());
  }

  @Test
  void aTextThatIsTooLongIsCutWithoutAnEnd() {
    EncodedTexts texts =
        encode(
            TrainingText.of("abcdefgh"),
            TrainingText.of("abcdefghi"),
            TrainingText.of("a".repeat(900)));
    assertEquals(2, texts.cut().cardinality());
    assertEncoded("[abcdefgh]", "abcdefgh]_", texts.data().encoding(0));
    assertEncoded("[abcdefghi", "abcdefghi_", texts.data().encoding(1));
  }

  @Test
  void textsWithoutATokenToLearnAreCountedAndLeftOut() {
    EncodedTexts texts = encode(TrainingText.of("abcdefghijk", "l"), TrainingText.of("a", "b"));
    assertEquals(1, texts.unlearnt());
    assertEquals(2, texts.data().size());
    assertEquals(1, texts.data().learnt().size());
    assertEquals(texts.data().weight(), texts.data().learnt().weight());
  }

  @Test
  void packedRowsHoldEveryTextOnceWithItsLabels() {
    Random random = TestSeed.random();
    List<TrainingText> texts = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      texts.add(
          TrainingText.of(("" + (char) ('a' + random.nextInt(26))).repeat(random.nextInt(9))));
    }
    EncodedDataset single = encode(texts.toArray(TrainingText[]::new)).data();
    EncodedDataset packed = single.packed(LONGEST);
    Map<List<Integer>, Integer> left = new HashMap<>();
    for (int i = 0; i < single.size(); i++) {
      left.merge(both(single.encoding(i), 0, single.length(i)), 1, Integer::sum);
    }
    for (int row = 0; row < packed.size(); row++) {
      Encoding encoding = packed.encoding(row);
      assertTrue(encoding.ids().length <= LONGEST);
      int[] starts = encoding.starts() == null ? new int[encoding.ids().length] : encoding.starts();
      for (int from = 0; from < starts.length; ) {
        int to = from;
        while (to < starts.length && starts[to] == from) {
          to++;
        }
        left.merge(both(encoding, from, to), -1, Integer::sum);
        from = to;
      }
    }
    assertTrue(left.values().stream().allMatch(count -> count == 0), left::toString);
    assertEquals(single.weight(), packed.weight());
    // No two rows would go into one: best fit leaves at most one row half empty.
    long halfEmpty =
        IntStream.range(0, packed.size()).filter(row -> packed.length(row) * 2 <= LONGEST).count();
    assertTrue(halfEmpty <= 1, () -> halfEmpty + " rows are half empty");
  }

  private static List<Integer> both(Encoding encoding, int from, int to) {
    List<Integer> both = new ArrayList<>();
    for (int i = from; i < to; i++) {
      both.add(encoding.ids()[i]);
      both.add(encoding.labels()[i]);
    }
    return both;
  }

  @Test
  void tokensAreReadAsTheTextThatTheyWere() {
    try (Tokenizer decoding = Tokenizer.decoding(CharacterTokenizer.json(), LONGEST)) {
      assertEquals("so it", decoding.decode(decoding.tokens("so it", true).ids()));
    }
  }

  @Test
  void theFirstOfTheSpecialTokensThatATextEndsWithIsFound() {
    try (Tokenizer decoding = Tokenizer.decoding(CharacterTokenizer.json(), LONGEST)) {
      assertEquals(Optional.of("</s>"), decoding.endingSpecialToken("<s>so it</s> "));
      // As Phi-3's: <|end|>, a line break and <|endoftext|>.
      assertEquals(Optional.of("</s>"), decoding.endingSpecialToken("so it</s>\n<s>"));
      assertEquals(Optional.of("<s>"), decoding.endingSpecialToken("</s>so it<s></s> "));
      assertEquals(Optional.empty(), decoding.endingSpecialToken("<s>so it"));
      assertEquals(Optional.empty(), decoding.endingSpecialToken("so it > s"));
      assertEquals(Optional.empty(), decoding.endingSpecialToken(""));
    }
  }

  @Test
  void batchesPadLabelsAndStarts() {
    EncodedDataset packed = encode(TrainingText.of("ab"), TrainingText.of("c")).data().packed(10);
    Batch batch = Batch.of(packed, new int[] {0}).padded(9);
    assertArrayEquals(Arrays.stream(ids("ab]_c]___")).asLongStream().toArray(), batch.labels());
    assertArrayEquals(new int[] {0, 0, 0, 0, 4, 4, 4, 0, 0}, batch.starts());
    assertEquals(5, batch.weight());
    assertEquals(4, batch.longest());
    EncodedDataset single = encode(TrainingText.of("d")).data();
    Batch both = Batch.concatenated(List.of(batch, Batch.of(single, new int[] {0}).padded(9)));
    assertArrayEquals(
        Arrays.stream(ids("ab]_c]___d]_______")).asLongStream().toArray(), both.labels());
    assertEquals(18, both.starts().length);
    assertEquals(7, both.weight());
  }
}
