package org.prunepeft.search.measured;

import java.util.List;
import org.prunepeft.search.Candidate;

/**
 * A subset that was measured.
 *
 * @param purpose why
 * @param modules those that were switched on, sorted by layer, type and name
 * @param score its mean score on the examples that choices were made on
 * @param search its metric on the examples that choices were made on
 * @param confirmation its metric on the others
 */
public record MeasuredSubset(
    Purpose purpose, List<Candidate> modules, double score, double search, double confirmation) {
  /** Why a subset was measured; the first reason, where there are several. */
  public enum Purpose {
    /** All modules. */
    SUPERNET,
    /** No module. */
    NONE,
    /** A depth rule's. */
    DEPTH,
    /** One of the random subsets of the budget. */
    RANDOM,
    /** To learn the modules' values. */
    DESIGN,
    /** It promised to be the best. */
    REFINEMENT,
    /** It lies on the front. */
    FRONT
  }

  /** Copies the list. */
  public MeasuredSubset {
    modules = List.copyOf(modules);
  }
}
