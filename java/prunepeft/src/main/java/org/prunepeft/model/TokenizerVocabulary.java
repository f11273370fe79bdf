package org.prunepeft.model;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.file.Path;
import org.prunepeft.io.FormatException;

/**
 * The largest id that a tokenizer's model gives, read without keeping the file. Added tokens do not
 * count: some models have one that none of their texts has and that no embedding is there for.
 */
final class TokenizerVocabulary {
  private static final JsonFactory JSON = new JsonFactory();
  private static final int SHOWN = 40;

  private String token = "";
  private int largest = -1;

  private TokenizerVocabulary() {}

  /**
   * Checks that a model has an embedding for each token.
   *
   * @param tokenizer content of tokenizer.json
   * @param directory of the model, for errors
   * @throws FormatException if it has not
   * @throws IOException never: a damaged file is for its reader to refuse
   */
  static void requireFits(byte[] tokenizer, EncoderConfig config, Path directory)
      throws IOException {
    TokenizerVocabulary vocabulary = new TokenizerVocabulary();
    try (JsonParser json = JSON.createParser(tokenizer)) {
      if (enter(json, "model") && enter(json, "vocab")) {
        vocabulary.read(json);
      }
    } catch (JsonProcessingException | CharConversionException e) {
      return;
    }
    if (vocabulary.largest >= config.vocabulary()) {
      String token = vocabulary.token;
      throw new FormatException(
          "%s: the tokenizer does not fit the model: tokenizer.json gives token '%s' the id %d, and vocab_size in config.json is %d; take all files from one model, or call model.resize_token_embeddings(len(tokenizer)) in Python"
              .formatted(
                  directory,
                  token.length() <= SHOWN ? token : token.substring(0, SHOWN) + "...",
                  vocabulary.largest,
                  config.vocabulary()));
    }
  }

  /** Goes to the value of an object's member; false if there is none. */
  private static boolean enter(JsonParser json, String member) throws IOException {
    if (json.currentToken() == null) {
      json.nextToken();
    }
    if (json.currentToken() != JsonToken.START_OBJECT) {
      return false;
    }
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String name = json.currentName();
      json.nextToken();
      if (name.equals(member)) {
        return true;
      }
      json.skipChildren();
    }
    return false;
  }

  /** An object of ids by token, or Unigram's list, whose ids are the places. */
  private void read(JsonParser json) throws IOException {
    boolean list = json.currentToken() == JsonToken.START_ARRAY;
    if (!list && json.currentToken() != JsonToken.START_OBJECT) {
      return;
    }
    for (int place = 0; next(json); place++) {
      if (list) {
        boolean pair = json.currentToken() == JsonToken.START_ARRAY;
        found(pair ? json.nextTextValue() : null, place);
        if (pair) {
          skipRest(json);
        }
      } else {
        String name = json.currentName();
        found(name, json.nextToken() == JsonToken.VALUE_NUMBER_INT ? json.getValueAsInt() : -1);
      }
    }
  }

  private static boolean next(JsonParser json) throws IOException {
    JsonToken token = json.nextToken();
    return token != null && token != JsonToken.END_ARRAY && token != JsonToken.END_OBJECT;
  }

  private static void skipRest(JsonParser json) throws IOException {
    while (next(json)) {
      json.skipChildren();
    }
  }

  private void found(String name, int id) {
    if (id > largest) {
      largest = id;
      token = name == null ? "" : name;
    }
  }
}
