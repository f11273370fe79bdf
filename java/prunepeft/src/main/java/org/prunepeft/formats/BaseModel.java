package org.prunepeft.formats;

import java.util.Map;
import java.util.TreeMap;

/**
 * The pre-trained model that an adapter belongs to, as Hugging Face's libraries name it.
 *
 * @param nameOrPath base_model_name_or_path: a name on the hub, or a directory
 * @param type model_type of its config.json: bert, roberta, ...
 */
public record BaseModel(String nameOrPath, String type) {
  private record Family(String prefix, String className) {}

  private static final Map<String, Family> FAMILIES =
      new TreeMap<>(
          Map.of(
              "bert", new Family("bert", "Bert"),
              "roberta", new Family("roberta", "Roberta"),
              "xlm-roberta", new Family("roberta", "XLMRoberta"),
              "distilbert", new Family("distilbert", "DistilBert"),
              "electra", new Family("electra", "Electra"),
              "deberta-v2", new Family("deberta", "DebertaV2")));

  /**
   * @throws IllegalArgumentException if the type is not one that adapter files can be written for
   */
  public BaseModel {
    if (!FAMILIES.containsKey(type)) {
      throw new IllegalArgumentException(
          "no adapter files for models of type '" + type + "'; there are " + FAMILIES.keySet());
    }
  }

  /** The attribute that holds the encoder in a model with a head: bert, roberta, deberta. */
  public String prefix() {
    return FAMILIES.get(type).prefix;
  }

  /** What the names of the model's classes begin with: Bert, XLMRoberta. */
  String className() {
    return FAMILIES.get(type).className;
  }
}
