package org.prunepeft.data.batch;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A tokenizer.json with a token for each printable character of ASCII, and a start before it. */
public final class CharacterTokenizer {
  public static final int UNKNOWN = 0;
  public static final int START = 1;
  public static final int END = 2;

  /** How many tokens there are. */
  public static final int VOCABULARY = 3 + 96;

  private CharacterTokenizer() {}

  /** The id of a character. */
  public static int id(char c) {
    return c == '\n' ? VOCABULARY - 1 : 3 + c - ' ';
  }

  public static byte[] json() {
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    vocabulary.put("<unk>", UNKNOWN);
    vocabulary.put("<s>", START);
    vocabulary.put("</s>", END);
    for (char c = ' '; c <= '~'; c++) {
      vocabulary.put(String.valueOf(c), id(c));
    }
    vocabulary.put("\n", id('\n'));
    Map<String, Object> model = new LinkedHashMap<>();
    model.put("type", "BPE");
    model.put("unk_token", "<unk>");
    model.put("fuse_unk", false);
    model.put("byte_fallback", false);
    model.put("vocab", vocabulary);
    model.put("merges", List.of());
    Map<String, Object> start =
        Map.of("id", "<s>", "ids", List.of(START), "tokens", List.of("<s>"));
    Object first = Map.of("SpecialToken", Map.of("id", "<s>", "type_id", 0));
    Map<String, Object> template = new LinkedHashMap<>();
    template.put("type", "TemplateProcessing");
    template.put("single", List.of(first, sequence("A", 0)));
    template.put("pair", List.of(first, sequence("A", 0), sequence("B", 1)));
    template.put("special_tokens", Map.of("<s>", start));
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("version", "1.0");
    all.put(
        "added_tokens", List.of(added("<unk>", UNKNOWN), added("<s>", START), added("</s>", END)));
    all.put("normalizer", null);
    all.put("pre_tokenizer", null);
    all.put("post_processor", template);
    all.put("decoder", Map.of("type", "Fuse"));
    all.put("model", model);
    try {
      return JsonMapper.builder().build().writeValueAsString(all).getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Object sequence(String id, int type) {
    return Map.of("Sequence", Map.of("id", id, "type_id", type));
  }

  private static Map<String, Object> added(String content, int id) {
    Map<String, Object> token = new LinkedHashMap<>();
    token.put("id", id);
    token.put("content", content);
    token.put("single_word", false);
    token.put("lstrip", false);
    token.put("rstrip", false);
    token.put("normalized", false);
    token.put("special", true);
    return token;
  }
}
