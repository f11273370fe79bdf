package org.prunepeft.model;

/**
 * A linear of a layer, by its role; {@link EncoderConfig#path} gives the name that the checkpoint
 * has for it, {@link EncoderConfig#projections} those that there are. In decoders query and
 * attention output have head_dim values for each head, and key and value those of fewer heads:
 * {@link EncoderConfig#outputs}.
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
  OUTPUT("output.dense"),
  /** Into the activation of a decoder's feed-forward block, [intermediate,hidden]. */
  GATE("gate_proj");

  private final String target;

  Projection(String target) {
    this.target = target;
  }

  /**
   * {@return its name among target_modules, whatever the architecture: BERT's, but for gate_proj}
   */
  public String target() {
    return target;
  }
}
