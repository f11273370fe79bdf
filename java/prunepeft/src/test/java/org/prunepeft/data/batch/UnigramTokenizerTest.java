package org.prunepeft.data.batch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

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

/**
 * SentencePiece's unigram model (Kudo 2018) in a tokenizer.json, as XLM-R and DeBERTa-v3 have it:
 * the likeliest segmentation by a search of our own, and the special tokens of each.
 */
class UnigramTokenizerTest {
  private static final String SPACE = "\u2581";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Random random = new Random();
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
        List<Integer> expected = new ArrayList<>(List.of(0));
        expected.addAll(likeliest(text));
        expected.add(2);
        assertEquals(expected, ids(tokenizer, text, null), text);
      }
      String first = text();
      String second = text();
      List<Integer> expected = new ArrayList<>(List.of(0));
      expected.addAll(likeliest(first));
      expected.addAll(List.of(2, 2));
      expected.addAll(likeliest(second));
      expected.add(2);
      assertEquals(expected, ids(tokenizer, first, second));
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
        List<Integer> expected = new ArrayList<>(List.of(1));
        expected.addAll(likeliest(first));
        expected.add(2);
        int boundary = expected.size();
        expected.addAll(likeliest(second));
        expected.add(2);
        assertEquals(expected, ids(tokenizer, first, second));
        int[] types = new int[expected.size()];
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

  /** The pieces of the largest summed log probability, word by word. */
  private List<Integer> likeliest(String text) {
    List<Integer> ids = new ArrayList<>();
    for (String word : text.split(" ")) {
      String marked = SPACE + word;
      double[] best = new double[marked.length() + 1];
      Arrays.fill(best, 1, best.length, Double.NEGATIVE_INFINITY);
      String[] last = new String[best.length];
      for (int end = 1; end < best.length; end++) {
        for (int begin = 0; begin < end; begin++) {
          Double score = scores.get(marked.substring(begin, end));
          if (score != null && best[begin] + score > best[end]) {
            best[end] = best[begin] + score;
            last[end] = marked.substring(begin, end);
          }
        }
      }
      List<Integer> own = new ArrayList<>();
      for (int end = marked.length(); end > 0; end -= last[end].length()) {
        own.add(0, id(last[end]));
      }
      ids.addAll(own);
    }
    return ids;
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
