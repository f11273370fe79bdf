package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.prunepeft.testing.TestSeed;

/**
 * SentencePiece's unigram model (Kudo 2018) in a tokenizer.json, as XLM-R and DeBERTa-v3 have it:
 * the likeliest segmentation by a search of our own, and the special tokens of each.
 */
class UnigramTokenizerTest {
  private static final String SPACE = "\u2581";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Random random = TestSeed.random();
  private final Map<String, Double> scores = new LinkedHashMap<>();
  private List<String> specials;

  @Test
  void xlmRobertaHasTheLikeliestPiecesBetweenItsSpecialTokens() throws IOException {
    specials = List.of("<s>", "<pad>", "</s>", "<unk>");
    byte[] json =
        tokenizer(
            3, "<s>:0 $A:0 </s>:0", "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0", Map.of("<mask>", true));
    try (Tokenizer tokenizer = Tokenizer.of(json, 512)) {
      for (int i = 0; i < 200; i++) {
        String text = text();
        assertLikeliest(text, List.of(0), List.of(2), ids(tokenizer, text, null));
      }
      String first = text();
      String second = text();
      List<Integer> ids = ids(tokenizer, first, second);
      int boundary = ids.indexOf(2);
      assertLikeliest(first, List.of(0), List.of(2), ids.subList(0, boundary + 1));
      assertLikeliest(second, List.of(2), List.of(2), ids.subList(boundary + 1, ids.size()));
      int[] types = tokenizer.encode(first, second).types();
      assertArrayEquals(new int[types.length], types);
      assertEquals(List.of(0, id(SPACE), 3, 2), ids(tokenizer, "\u6f22", null));
    }
  }

  @Test
  void debertaNumbersTheTextsOfAPair() throws IOException {
    specials = List.of("[PAD]", "[CLS]", "[SEP]", "[UNK]");
    byte[] json =
        tokenizer(
            3,
            "[CLS]:0 $A:0 [SEP]:0",
            "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            Map.of("[MASK]", false));
    try (Tokenizer tokenizer = Tokenizer.of(json, 512)) {
      for (int i = 0; i < 100; i++) {
        String first = text();
        String second = text();
        List<Integer> ids = ids(tokenizer, first, second);
        int boundary = ids.indexOf(2) + 1;
        assertLikeliest(first, List.of(1), List.of(2), ids.subList(0, boundary));
        assertLikeliest(second, List.of(), List.of(2), ids.subList(boundary, ids.size()));
        int[] types = new int[ids.size()];
        Arrays.fill(types, boundary, types.length, 1);
        assertArrayEquals(types, tokenizer.encode(first, second).types());
      }
    }
  }

  private static List<Integer> ids(Tokenizer tokenizer, String text, String pair) {
    return Arrays.stream(tokenizer.encode(text, pair).ids()).boxed().toList();
  }

  private int id(String piece) {
    return specials.size() + List.copyOf(scores.keySet()).indexOf(piece);
  }

  /** Words of letters that all are pieces. */
  private String text() {
    StringBuilder text = new StringBuilder();
    for (int word = 1 + random.nextInt(4); word > 0; word--) {
      for (int letter = 1 + random.nextInt(7); letter > 0; letter--) {
        text.append((char) ('a' + random.nextInt(4)));
      }
      text.append(word > 1 ? " " : "");
    }
    return text.toString();
  }

  /**
   * The pieces make up the text and have the largest summed log probability, word by word. Several
   * segmentations may have it, such as the same pieces in another order, whose sums then differ by
   * rounding alone.
   */
  private void assertLikeliest(
      String text, List<Integer> before, List<Integer> behind, List<Integer> ids) {
    assertEquals(before, ids.subList(0, before.size()), text);
    int end = ids.size() - behind.size();
    assertEquals(behind, ids.subList(end, ids.size()), text);
    List<String> pieces = List.copyOf(scores.keySet());
    StringBuilder whole = new StringBuilder();
    List<Double> sums = new ArrayList<>();
    for (int id : ids.subList(before.size(), end)) {
      assertTrue(id >= specials.size(), () -> text + ": " + ids);
      String piece = pieces.get(id - specials.size());
      if (piece.startsWith(SPACE)) {
        sums.add(0.0);
      }
      sums.set(sums.size() - 1, sums.get(sums.size() - 1) + scores.get(piece));
      whole.append(piece);
    }
    String[] words = text.split(" ");
    assertEquals(SPACE + String.join(SPACE, words), whole.toString());
    for (int i = 0; i < words.length; i++) {
      double best = likeliest(SPACE + words[i]);
      // A sum of n numbers of one sign loses n half ulps at most: here two, and the tokenizer's
      // two.
      double rounding = 4 * (words[i].length() + 1) * 0x1p-53 * Math.abs(best);
      assertEquals(best, sums.get(i), rounding, () -> text + ": " + ids);
    }
  }

  /** The largest sum of log probabilities of pieces that make up the word. */
  private double likeliest(String word) {
    double[] best = new double[word.length() + 1];
    Arrays.fill(best, 1, best.length, Double.NEGATIVE_INFINITY);
    for (int end = 1; end < best.length; end++) {
      for (int begin = 0; begin < end; begin++) {
        Double score = scores.get(word.substring(begin, end));
        if (score != null) {
          best[end] = Math.max(best[end], best[begin] + score);
        }
      }
    }
    return best[word.length()];
  }

  private byte[] tokenizer(int unknown, String single, String pair, Map<String, Boolean> masks)
      throws IOException {
    scores.put(SPACE, -2 - random.nextDouble());
    for (char letter = 'a'; letter < 'e'; letter++) {
      scores.put(String.valueOf(letter), -4 - 4 * random.nextDouble());
    }
    while (scores.size() < 60) {
      String piece = text().split(" ")[0];
      String marked = random.nextBoolean() ? SPACE + piece : piece;
      if (marked.length() > 1 && marked.length() < 6) {
        scores.put(marked, -3 - 10 * random.nextDouble());
      }
    }
    ObjectNode json = JSON.createObjectNode();
    json.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = json.putArray("added_tokens");
    specials.forEach(special -> added(added, special, added.size(), false));
    masks.forEach((mask, lstrip) -> added(added, mask, 4 + scores.size(), lstrip));
    ObjectNode normalizer = json.putObject("normalizer").put("type", "Sequence");
    ArrayNode normalizers = normalizer.putArray("normalizers");
    normalizers.addObject().put("type", "NFKC");
    ObjectNode blanks = normalizers.addObject().put("type", "Replace").put("content", " ");
    blanks.putObject("pattern").put("Regex", " {2,}");
    json.putObject("pre_tokenizer")
        .put("type", "Metaspace")
        .put("replacement", SPACE)
        .put("prepend_scheme", "always")
        .put("split", true);
    ObjectNode post = json.putObject("post_processor").put("type", "TemplateProcessing");
    template(post.putArray("single"), single);
    template(post.putArray("pair"), pair);
    ObjectNode special = post.putObject("special_tokens");
    for (String token : specials) {
      ObjectNode own = special.putObject(token).put("id", token);
      own.putArray("ids").add(specials.indexOf(token));
      own.putArray("tokens").add(token);
    }
    json.putObject("decoder")
        .put("type", "Metaspace")
        .put("replacement", SPACE)
        .put("prepend_scheme", "always")
        .put("split", true);
    ObjectNode model = json.putObject("model").put("type", "Unigram").put("unk_id", unknown);
    model.put("byte_fallback", false);
    ArrayNode vocabulary = model.putArray("vocab");
    specials.forEach(token -> vocabulary.addArray().add(token).add(0.0));
    scores.forEach((piece, score) -> vocabulary.addArray().add(piece).add(score));
    return JSON.writeValueAsBytes(json);
  }

  private static void added(ArrayNode tokens, String content, int id, boolean lstrip) {
    tokens
        .addObject()
        .put("id", id)
        .put("content", content)
        .put("single_word", false)
        .put("lstrip", lstrip)
        .put("rstrip", false)
        .put("normalized", false)
        .put("special", true);
  }

  /** Items with their token types: $A and $B are the texts. */
  private static void template(ArrayNode items, String template) {
    for (String item : template.split(" ")) {
      String name = item.substring(0, item.indexOf(':'));
      boolean text = name.startsWith("$");
      items
          .addObject()
          .putObject(text ? "Sequence" : "SpecialToken")
          .put("id", text ? name.substring(1) : name)
          .put("type_id", Integer.parseInt(item.substring(item.indexOf(':') + 1)));
    }
  }
}
