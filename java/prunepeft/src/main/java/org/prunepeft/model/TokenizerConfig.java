package org.prunepeft.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalInt;
import org.prunepeft.checkpoint.HuggingFaceDirectory;
import org.prunepeft.checkpoint.TokenizerJson;
import org.prunepeft.io.FormatException;

/**
 * The tokenizer_config.json of a model: its own, or what follows from its tokenizer. Classes of
 * Hugging Face's library set a tokenizer.json to the values of this file, or to their defaults
 * where it has none: BERT's would turn to lower case. So it says what tokenizer.json does, and of
 * which class it is, for which Python would else ask a config.json that may not lie beside it.
 */
final class TokenizerConfig {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          // As Python reads and writes them.
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .build();

  /** The class that takes a tokenizer.json as it is. */
  private static final String ANY_CLASS = "PreTrainedTokenizerFast";

  private static final String CLASS = HuggingFaceDirectory.TOKENIZER_CLASS;
  private static final String MAX_LENGTH = "model_max_length";
  private static final String PADDING = "pad_token";
  private static final String SPECIAL_TOKENS = "special_tokens_map.json";

  /** What the library's classes do unless tokenizer_config.json says otherwise. */
  private static final Map<String, JsonNode> DEFAULTS =
      Map.of(
          "do_lower_case", BooleanNode.TRUE,
          "strip_accents", NullNode.getInstance(),
          "tokenize_chinese_chars", BooleanNode.TRUE,
          "add_prefix_space", BooleanNode.FALSE);

  private final EncoderConfig encoder;
  private final JsonNode model;
  private final byte[] tokenizer;

  /**
   * @param model the model's config.json; a missing node if it has none
   * @param tokenizer tokenizer.json
   */
  TokenizerConfig(EncoderConfig encoder, JsonNode model, byte[] tokenizer) {
    this.encoder = encoder;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /**
   * What follows from the tokenizer.
   *
   * @return content of tokenizer_config.json: tokenizer_class; model_max_length in tokens, special
   *     ones included; BERT's or RoBERTa's settings
   * @throws IOException if the tokenizer is no JSON
   */
  byte[] derived() throws IOException {
    JsonNode parts = JSON.readTree(tokenizer);
    ObjectNode config = JSON.createObjectNode();
    config.put(CLASS, className(parts));
    config.put(MAX_LENGTH, encoder.maxTokens());
    settings(parts).forEach(config::set);
    addPadding(config, parts, Map.of());
    return bytes(config);
  }

  /**
   * The model's own as Python needs it in another directory: with the class, if it says none, and
   * the settings of tokenizer.json that it leaves to another default.
   *
   * @param files the tokenizer's, with tokenizer_config.json
   * @param maxLength tokens at which texts are cut, at their ends; empty: as the file says
   * @throws IOException if a file is no JSON
   */
  byte[] completed(Map<String, byte[]> files, OptionalInt maxLength) throws IOException {
    byte[] own = files.get(HuggingFaceDirectory.TOKENIZER_CONFIG);
    ObjectNode config;
    try {
      config = (ObjectNode) JSON.readTree(own);
    } catch (JsonProcessingException | ClassCastException e) {
      if (maxLength.isEmpty()) {
        return own; // such as one that Python alone can read
      }
      throw new FormatException(
          "the model's %s is no JSON object, in which %s has to be said; repair it, or take it out of the model's directory"
              .formatted(HuggingFaceDirectory.TOKENIZER_CONFIG, MAX_LENGTH),
          e);
    }
    boolean complete = config.path(CLASS).isTextual();
    if (complete && maxLength.isEmpty()) {
      return own;
    }
    JsonNode parts = JSON.readTree(tokenizer);
    if (!complete) {
      config.put(CLASS, className(parts));
      addPadding(config, parts, files);
    }
    settings(parts)
        .forEach(
            (name, value) -> {
              if (!config.has(name) && !value.equals(DEFAULTS.get(name))) {
                config.set(name, value);
              }
            });
    if (maxLength.isPresent()) {
      config.put(MAX_LENGTH, maxLength.getAsInt());
      if (TokenizerJson.cutsBeginnings(config, tokenizer)) {
        config.put(HuggingFaceDirectory.TRUNCATION_SIDE, "right");
      }
    }
    return bytes(config);
  }

  private static byte[] bytes(ObjectNode config) throws IOException {
    return (JSON.writeValueAsString(config) + "\n").getBytes(StandardCharsets.UTF_8);
  }

  private String className(JsonNode parts) {
    JsonNode named = model.path(CLASS);
    if (named.isTextual()) {
      return named.asText();
    }
    Architecture architecture = encoder.architecture();
    String kind = parts.path("model").path("type").asText();
    // Of decoders' classes some have another model's name.
    return !architecture.isDecoder() && kind.equals(architecture.tokenizerModel())
        ? architecture.className() + "Tokenizer"
        : ANY_CLASS;
  }

  /** What a class that knows no special tokens of its own pads with. */
  private void addPadding(ObjectNode config, JsonNode parts, Map<String, byte[]> files)
      throws IOException {
    boolean named =
        config.has(PADDING)
            || files.containsKey(SPECIAL_TOKENS)
                && JSON.readTree(files.get(SPECIAL_TOKENS)).has(PADDING);
    if (named || !config.path(CLASS).asText().equals(ANY_CLASS)) {
      return;
    }
    for (JsonNode token : parts.path("added_tokens")) {
      if (token.path("id").asInt(-1) == encoder.padding()) {
        config.set(PADDING, token.path("content"));
      }
    }
  }

  /** BERT's or RoBERTa's, as the tokenizer has them. */
  private static Map<String, JsonNode> settings(JsonNode parts) {
    Map<String, JsonNode> settings = new LinkedHashMap<>();
    JsonNode normalizer = parts.path("normalizer");
    if (normalizer.path("type").asText().equals("BertNormalizer")) {
      JsonNode accents = normalizer.path("strip_accents");
      settings.put(
          "do_lower_case", BooleanNode.valueOf(normalizer.path("lowercase").asBoolean(true)));
      settings.put("strip_accents", accents.isBoolean() ? accents : NullNode.getInstance());
      settings.put(
          "tokenize_chinese_chars",
          BooleanNode.valueOf(normalizer.path("handle_chinese_chars").asBoolean(true)));
    }
    JsonNode words = parts.path("pre_tokenizer");
    if (words.path("type").asText().equals("ByteLevel")) {
      settings.put(
          "add_prefix_space", BooleanNode.valueOf(words.path("add_prefix_space").asBoolean(true)));
    }
    return settings;
  }
}
