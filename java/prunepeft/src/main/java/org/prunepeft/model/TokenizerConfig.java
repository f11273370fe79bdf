package org.prunepeft.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * The tokenizer_config.json of a model that has none of its own. Classes of Hugging Face's library
 * set a tokenizer.json to the values of this file, or to their defaults where it has none: BERT's
 * would turn to lower case. So it says what tokenizer.json does.
 */
final class TokenizerConfig {
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  private TokenizerConfig() {}

  /**
   * What follows from a tokenizer.
   *
   * @param tokenizer tokenizer.json
   * @return content of tokenizer_config.json: model_max_length in tokens, special ones included;
   *     tokenizer_class where the tokenizer is of the architecture's own kind, and of a decoder;
   *     BERT's or RoBERTa's settings
   * @throws IOException if the tokenizer is no JSON
   */
  static byte[] of(EncoderConfig encoder, byte[] tokenizer) throws IOException {
    JsonNode parts = JSON.readTree(tokenizer);
    ObjectNode config = JSON.createObjectNode();
    String kind = parts.path("model").path("type").asText();
    if (encoder.decoder() != null) {
      // Of decoders the class that changes nothing of a tokenizer.json.
      config.put("tokenizer_class", "PreTrainedTokenizerFast");
    } else if (kind.equals(encoder.architecture().tokenizerModel())) {
      config.put("tokenizer_class", encoder.architecture().className() + "Tokenizer");
    }
    config.put("model_max_length", encoder.maxTokens());
    JsonNode normalizer = parts.path("normalizer");
    if (normalizer.path("type").asText().equals("BertNormalizer")) {
      config.put("do_lower_case", normalizer.path("lowercase").asBoolean(true));
      config.set("strip_accents", normalizer.get("strip_accents"));
      config.put("tokenize_chinese_chars", normalizer.path("handle_chinese_chars").asBoolean(true));
    }
    JsonNode words = parts.path("pre_tokenizer");
    if (words.path("type").asText().equals("ByteLevel")) {
      config.put("add_prefix_space", words.path("add_prefix_space").asBoolean(true));
    }
    return (JSON.writeValueAsString(config) + "\n").getBytes(StandardCharsets.UTF_8);
  }
}
