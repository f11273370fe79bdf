package org.prunepeft.search;

/** A way to score a module from its weights, their gradients and its output. */
public interface Criterion {
  /** Which end of a criterion's scale is pruned first. */
  enum Order {
    /** Modules with small scores go first. */
    SMALLEST,
    /** Modules with large scores go first. */
    LARGEST
  }

  /** {@return the name it has in strategies and reports; one word, no slash} */
  String name();

  /** {@return whether modules with small scores or those with large ones are pruned first} */
  Order prunedFirst();

  /**
   * {@return whether the score depends on the batches beyond the weights, so that two halves of the
   * batches can disagree about it}
   */
  boolean seesData();

  /**
   * {@return the score Θ of a module}
   *
   * @param statistics sums over all weights and gradients of the module
   */
  double score(ModuleStatistics statistics);
}
