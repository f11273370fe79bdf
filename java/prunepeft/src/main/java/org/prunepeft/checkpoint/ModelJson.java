package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.prunepeft.io.FormatException;

/** How a model directory's JSON files are read and written. */
final class ModelJson {
  static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  /** NaN and Infinity, and a member twice, as Python reads them. */
  private static final ObjectMapper PYTHON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  private ModelJson() {}

  /**
   * {@return a file's JSON object}
   *
   * @param file named where it is none
   * @throws FormatException if it is none, or has a member twice
   */
  static JsonNode object(Path file, byte[] content) throws IOException {
    return object(JSON, file, content);
  }

  /**
   * {@return the JSON object of a file that Python's library wrote}
   *
   * @param file named where it is none
   * @throws FormatException if it is none
   */
  static JsonNode objectOfPython(Path file, byte[] content) throws IOException {
    return object(PYTHON, file, content);
  }

  private static JsonNode object(ObjectMapper mapper, Path file, byte[] content)
      throws IOException {
    try {
      JsonNode node = mapper.readTree(content);
      if (!node.isObject()) {
        throw new FormatException(file + " holds no JSON object");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new FormatException(
          "%s is no JSON: %s (line %d)"
              .formatted(
                  file,
                  e.getOriginalMessage(),
                  e.getLocation() == null ? 1 : e.getLocation().getLineNr()),
          e);
    } catch (CharConversionException e) {
      throw new FormatException(file + " is no JSON: it is not UTF-8", e);
    }
  }

  /** {@return a value as an indented JSON file} */
  static byte[] bytes(Object content) throws IOException {
    return (JSON.writeValueAsString(content) + "\n").getBytes(StandardCharsets.UTF_8);
  }
}
