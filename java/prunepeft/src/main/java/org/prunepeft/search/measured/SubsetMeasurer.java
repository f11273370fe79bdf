package org.prunepeft.search.measured;

import java.util.List;
import org.prunepeft.search.Candidate;

/** Measures subsets of a trained supernet; the side of the search that knows models and data. */
@FunctionalInterface
public interface SubsetMeasurer {
  /**
   * Runs the supernet with the modules of a subset and no others, once for each subset, on held-out
   * examples.
   *
   * <p>Each call must give the same examples in the same order, because differences are taken
   * example by example; the order itself should be random, such as that of a shuffled data set.
   *
   * @param subsets which modules are switched on, each sorted by layer, type and name; the empty
   *     one is the model with its head alone. No subset is asked for twice in a search
   * @return values of at least 20 examples
   */
  Measurements measure(List<List<Candidate>> subsets);
}
