package org.prunepeft.model;

/** A block of an encoder layer, whose output is added to its input. */
public enum Block {
  /** Self-attention, with its output projection. */
  ATTENTION,
  /** The feed-forward block. */
  FEED_FORWARD
}
