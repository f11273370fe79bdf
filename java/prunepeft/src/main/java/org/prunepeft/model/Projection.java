package org.prunepeft.model;

/**
 * A linear of an encoder layer, by its role; {@link EncoderConfig#path} gives the name that the
 * checkpoint has for it.
 */
public enum Projection {
  /** Of attention, [hidden,hidden]. */
  QUERY("query"),
  /** Of attention, [hidden,hidden]. */
  KEY("key"),
  /** Of attention, [hidden,hidden]. */
  VALUE("value"),
  /** After the heads, [hidden,hidden]. */
  ATTENTION_OUTPUT("attention.output.dense"),
  /** Into the feed-forward block, [intermediate,hidden]. */
  INTERMEDIATE("intermediate.dense"),
  /** Out of the feed-forward block, [hidden,intermediate]. */
  OUTPUT("output.dense");

  private final String target;

  Projection(String target) {
    this.target = target;
  }

  /** {@return its name among target_modules, whatever the architecture: BERT's} */
  public String target() {
    return target;
  }
}
