package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.CharConversionException;
import java.io.IOException;

/** What tokenizer.json holds beside its vocabulary. */
public final class TokenizerJson {
  private TokenizerJson() {}

  /**
   * {@return whether Python's tokenizer cuts the beginnings of texts that are too long}
   *
   * @param settings tokenizer_config.json
   * @param tokenizer content of tokenizer.json, which counts where the settings say nothing
   */
  public static boolean cutsBeginnings(JsonNode settings, byte[] tokenizer) throws IOException {
    JsonNode side = settings.path(HuggingFaceDirectory.TRUNCATION_SIDE);
    return (side.isTextual() ? side : part(tokenizer, "truncation").path("direction"))
        .asText()
        .equalsIgnoreCase("left");
  }

  /** A member of tokenizer.json, without its vocabulary, which may be large; perhaps missing. */
  static JsonNode part(byte[] tokenizer, String name) throws IOException {
    try (JsonParser json = ModelJson.JSON.createParser(tokenizer)) {
      json.nextToken();
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        boolean found = json.currentName().equals(name);
        json.nextToken();
        if (found) {
          return json.readValueAsTree();
        }
        json.skipChildren();
      }
    } catch (JsonProcessingException | CharConversionException e) {
      // Left for its reader to refuse.
    }
    return ModelJson.JSON.missingNode();
  }
}
