package org.prunepeft;

/** Which modules a plain training places: the baselines of a search. */
public enum Selection {
  /** None: the head alone. */
  HEAD,
  /** All of them. */
  SUPERNET,
  /** Random ones within the budget. */
  RANDOM,
  /** Those of the last layers, within the budget. */
  DEPTH,
  /** Named ones: the configuration of a search. */
  CONFIGURATION
}
