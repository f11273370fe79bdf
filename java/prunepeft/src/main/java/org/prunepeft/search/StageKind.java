package org.prunepeft.search;

/** What a training of the supernet is for. */
public enum StageKind {
  /** Finding which criteria suit which partition. */
  WARM_UP,
  /** A round of iterative pruning. */
  ROUND
}
