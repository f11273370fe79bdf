package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.io.FormatException;

/**
 * BERT's vocab.txt: a token a line, its id the line's number from 0 on. {@link #tokenizerJson}
 * makes of it what Hugging Face's conversion of a BertTokenizer makes: a {@code tokenizer.json}.
 */
public final class WordPieceVocabulary {
  static final List<String> SPECIAL = List.of("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]");

  private final Map<String, Integer> ids = new LinkedHashMap<>();

  /**
   * @param vocabulary content of a vocab.txt
   * @throws FormatException if it is no UTF-8, has a token twice, or lacks [PAD], [UNK], [CLS],
   *     [SEP] or [MASK]
   */
  public WordPieceVocabulary(byte[] vocabulary) throws FormatException {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(vocabulary)).toString();
    } catch (CharacterCodingException e) {
      throw new FormatException("vocab.txt is not UTF-8", e);
    }
    // Not lines(), which would split at a lone carriage return too.
    List<String> tokens = new ArrayList<>(List.of(text.split("\n", -1)));
    if (tokens.get(tokens.size() - 1).isEmpty()) {
      tokens.remove(tokens.size() - 1);
    }
    for (String line : tokens) {
      String token = line.endsWith("\r") ? line.substring(0, line.length() - 1) : line;
      int id = ids.size();
      Integer earlier = ids.put(token, id);
      if (earlier != null) {
        throw new FormatException(
            "vocab.txt has the token '%s' twice, in lines %d and %d"
                .formatted(token, earlier + 1, id + 1));
      }
    }
    for (String special : SPECIAL) {
      if (!ids.containsKey(special)) {
        throw new FormatException(
            "vocab.txt has no token %s among its %d; it is not BERT's"
                .formatted(special, ids.size()));
      }
    }
  }

  /**
   * A WordPiece tokenizer.
   *
   * @param lowerCase do_lower_case
   * @param stripAccents strip_accents; null: as lowerCase
   * @param chineseCharacters tokenize_chinese_chars: each is a word of its own
   */
  public byte[] tokenizerJson(boolean lowerCase, Boolean stripAccents, boolean chineseCharacters) {
    var bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      json.writeStringField("version", "1.0");
      json.writeNullField("truncation");
      json.writeNullField("padding");
      addedTokens(json);
      json.writeObjectFieldStart("normalizer");
      json.writeStringField("type", "BertNormalizer");
      json.writeBooleanField("clean_text", true);
      json.writeBooleanField("handle_chinese_chars", chineseCharacters);
      if (stripAccents == null) {
        json.writeNullField("strip_accents");
      } else {
        json.writeBooleanField("strip_accents", stripAccents);
      }
      json.writeBooleanField("lowercase", lowerCase);
      json.writeEndObject();
      json.writeObjectFieldStart("pre_tokenizer");
      json.writeStringField("type", "BertPreTokenizer");
      json.writeEndObject();
      postProcessor(json);
      json.writeObjectFieldStart("decoder");
      json.writeStringField("type", "WordPiece");
      json.writeStringField("prefix", "##");
      json.writeBooleanField("cleanup", true);
      json.writeEndObject();
      json.writeObjectFieldStart("model");
      json.writeStringField("type", "WordPiece");
      json.writeStringField("unk_token", "[UNK]");
      json.writeStringField("continuing_subword_prefix", "##");
      json.writeNumberField("max_input_chars_per_word", 100);
      json.writeObjectFieldStart("vocab");
      for (var token : ids.entrySet()) {
        json.writeNumberField(token.getKey(), token.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
      json.writeEndObject();
    } catch (IOException e) {
      // Memory cannot fail.
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  private void addedTokens(JsonGenerator json) throws IOException {
    json.writeArrayFieldStart("added_tokens");
    for (String special : SPECIAL) {
      json.writeStartObject();
      json.writeNumberField("id", ids.get(special));
      json.writeStringField("content", special);
      for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
        json.writeBooleanField(flag, false);
      }
      json.writeBooleanField("special", true);
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  /** [CLS] A [SEP], and [CLS] A [SEP] B [SEP] with type 1 from B on. */
  private void postProcessor(JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("post_processor");
    json.writeStringField("type", "TemplateProcessing");
    json.writeArrayFieldStart("single");
    piece(json, "SpecialToken", "[CLS]", 0);
    piece(json, "Sequence", "A", 0);
    piece(json, "SpecialToken", "[SEP]", 0);
    json.writeEndArray();
    json.writeArrayFieldStart("pair");
    piece(json, "SpecialToken", "[CLS]", 0);
    piece(json, "Sequence", "A", 0);
    piece(json, "SpecialToken", "[SEP]", 0);
    piece(json, "Sequence", "B", 1);
    piece(json, "SpecialToken", "[SEP]", 1);
    json.writeEndArray();
    json.writeObjectFieldStart("special_tokens");
    for (String special : List.of("[CLS]", "[SEP]")) {
      json.writeObjectFieldStart(special);
      json.writeStringField("id", special);
      json.writeFieldName("ids");
      json.writeArray(new int[] {ids.get(special)}, 0, 1);
      json.writeFieldName("tokens");
      json.writeArray(new String[] {special}, 0, 1);
      json.writeEndObject();
    }
    json.writeEndObject();
    json.writeEndObject();
  }

  private static void piece(JsonGenerator json, String kind, String id, int type)
      throws IOException {
    json.writeStartObject();
    json.writeObjectFieldStart(kind);
    json.writeStringField("id", id);
    json.writeNumberField("type_id", type);
    json.writeEndObject();
    json.writeEndObject();
  }
}
