package org.prunepeft.formats;

import java.util.Map;

/** The names on the hub of models that are known here by other names: base_model_name_or_path. */
public final class HubName {
  private static final Map<String, String> NAMES =
      Map.of(
          "minilm", "sentence-transformers/all-MiniLM-L6-v2",
          "bge-small", "BAAI/bge-small-en-v1.5",
          "bert-base", "google-bert/bert-base-uncased");

  private HubName() {}

  /** A model's name on the hub, or its directory. */
  public static String of(String model) {
    return NAMES.getOrDefault(model, model);
  }

  /** The inverse: a name here, or what is given, which may be a directory. */
  public static String model(String hubName) {
    return NAMES.entrySet().stream()
        .filter(entry -> entry.getValue().equals(hubName))
        .map(Map.Entry::getKey)
        .findFirst()
        .orElse(hubName);
  }
}
