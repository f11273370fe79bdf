package org.prunepeft.train;

/** The optimisers that there are; Hugging Face's {@code optim}. */
public enum OptimizerType {
  /** Adam with decoupled weight decay (Loshchilov &amp; Hutter 2019); β 0.9 and 0.999, ε 1e-8. */
  ADAMW,
  /**
   * Adafactor (Shazeer &amp; Stern 2018) with a given learning rate: a matrix keeps second moments
   * of its rows and columns only.
   */
  ADAFACTOR
}
