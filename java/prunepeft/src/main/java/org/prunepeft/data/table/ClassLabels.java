package org.prunepeft.data.table;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;

/**
 * The names of classes that Hugging Face's {@code datasets} keeps in a Parquet file's metadata,
 * where features are of its type ClassLabel: {@code {"info": {"features": {"label": {"names":
 * ["negative", "positive"], "_type": "ClassLabel"}}}}}. What is not understood has no names.
 */
final class ClassLabels {
  /** The metadata's key. */
  static final String KEY = "huggingface";

  private static final ObjectMapper JSON = new ObjectMapper();

  private ClassLabels() {}

  /**
   * @param metadata of the key, null if there is none
   * @return by column, the names of its classes, of which each is distinct and none is empty
   */
  static Map<String, List<String>> read(String metadata) {
    Map<String, List<String>> classes = new HashMap<>();
    if (metadata == null) {
      return classes;
    }
    JsonNode features;
    try {
      features = JSON.readTree(metadata).at("/info/features");
    } catch (JsonProcessingException e) {
      return classes;
    }
    features
        .properties()
        .forEach(
            feature -> {
              List<String> names = names(feature.getValue());
              if (!names.isEmpty()) {
                classes.put(feature.getKey(), names);
              }
            });
    return classes;
  }

  private static List<String> names(JsonNode feature) {
    if (!feature.path("_type").asText().equals("ClassLabel")) {
      return List.of();
    }
    List<String> names = new ArrayList<>();
    for (JsonNode name : feature.path("names")) {
      names.add(name.asText().strip());
    }
    boolean usable = !names.contains("") && new HashSet<>(names).size() == names.size();
    return usable ? names : List.of();
  }
}
