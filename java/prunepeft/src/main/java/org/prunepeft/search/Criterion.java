package org.prunepeft.search;

/** A way to score a module from its weights, their gradients and its output. */
public interface Criterion {
  /** Which end of a criterion's scale is pruned first. */
  enum Order {
    SMALLEST,
    LARGEST
  }

  /** The name it has in strategies and reports; one word, no slash. */
  String name();

  /** Whether modules with small scores or those with large ones are pruned first. */
  Order prunedFirst();

  /**
   * Whether the score depends on the batches beyond the weights, so that two halves of the batches
   * can disagree about it.
   */
  boolean seesData();

  /** The score Θ of a module. */
  double score(ModuleStatistics statistics);
}
