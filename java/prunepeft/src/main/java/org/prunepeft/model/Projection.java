package org.prunepeft.model;

/**
 * A linear of an encoder layer, by its role; {@link EncoderConfig#path} gives the name that the
 * checkpoint has for it.
 */
public enum Projection {
  QUERY("query"),
  KEY("key"),
  VALUE("value"),
  ATTENTION_OUTPUT("attention.output.dense"),
  INTERMEDIATE("intermediate.dense"),
  OUTPUT("output.dense");

  private final String target;

  Projection(String target) {
    this.target = target;
  }

  /** Its name among target_modules, whatever the architecture: BERT's. */
  public String target() {
    return target;
  }
}
