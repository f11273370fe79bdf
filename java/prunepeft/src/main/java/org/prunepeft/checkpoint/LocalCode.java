package org.prunepeft.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The Python files of a model's own, which its auto_map names. */
final class LocalCode {
  /** Which Python classes are the model's or the tokenizer's. */
  private static final String AUTO_MAP = "auto_map";

  private LocalCode() {}

  /**
   * A configuration whose auto_map names no Python files beside it, which are not copied; as it is
   * where it names none.
   *
   * @param file where it is from
   */
  static byte[] without(Path file, byte[] content) throws IOException {
    if (!new String(content, StandardCharsets.UTF_8).contains(AUTO_MAP)) {
      return content; // such as one that Python alone can read
    }
    ObjectNode config = (ObjectNode) ModelJson.object(file, content);
    JsonNode named = config.path(AUTO_MAP);
    JsonNode kept = elsewhere(named);
    if (named.equals(kept) || named.isMissingNode()) {
      return content;
    }
    if (kept == null) {
      config.remove(AUTO_MAP);
    } else {
      config.set(AUTO_MAP, kept);
    }
    return ModelJson.bytes(config);
  }

  /**
   * What names code in another repository on the hub, before "--".
   *
   * @return null: nothing does
   */
  private static JsonNode elsewhere(JsonNode code) {
    if (code.isObject()) {
      ObjectNode kept = ModelJson.JSON.createObjectNode();
      code.properties()
          .forEach(
              entry -> {
                JsonNode own = elsewhere(entry.getValue());
                if (own != null) {
                  kept.set(entry.getKey(), own);
                }
              });
      return kept.isEmpty() ? null : kept;
    }
    if (code.isArray()) {
      // A tokenizer's: the slow and the fast one's, of which one may be null.
      ArrayNode kept = ModelJson.JSON.createArrayNode();
      code.forEach(entry -> kept.add(elsewhere(entry)));
      return kept.valueStream().allMatch(JsonNode::isNull) ? null : kept;
    }
    return code.isTextual() && code.asText().contains("--") ? code : null;
  }
}
