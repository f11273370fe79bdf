package org.prunepeft.data;

import java.util.Locale;

/** How the two texts of a pair go through the encoder. */
public enum PairEncoding {
  /** As one sequence, first text and second text: each token sees both. */
  JOINT,
  /**
   * Each by itself, with the same weights: two towers, as of Sentence-BERT (Reimers &amp; Gurevych
   * 2019). The head compares their pooled outputs.
   */
  SEPARATE,
  /** {@link #SEPARATE} where the model is a sentence encoder, else {@link #JOINT}. */
  AUTO;

  /**
   * {@return the way that is gone: never {@link #AUTO}}
   *
   * @param pairs whether the task's examples are pairs
   * @param sentenceEncoder whether the model was trained to encode texts by themselves
   * @throws IllegalArgumentException if single texts are to be encoded as pairs
   */
  public PairEncoding resolve(boolean pairs, boolean sentenceEncoder) {
    if (this == SEPARATE && !pairs) {
      throw new IllegalArgumentException(
          "the task has single texts, which cannot be encoded as pairs; leave out --pair-encoding"
              + " separate");
    }
    if (this == AUTO) {
      return pairs && sentenceEncoder ? SEPARATE : JOINT;
    }
    return this;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
