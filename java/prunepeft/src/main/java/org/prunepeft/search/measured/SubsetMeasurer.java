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
   * <p>The mean over examples is what the search calls the metric. Each call must give the same
   * examples in the same order, because differences are taken example by example; the order itself
   * should be random, such as that of a shuffled data set.
   *
   * @param subsets which modules are switched on, each sorted by layer, type and name; the empty
   *     one is the model with its head alone. No subset is asked for twice in a search
   * @return [subsets][examples], finite, higher is better: 1 for a correct answer and 0 for a wrong
   *     one, a log-likelihood, minus a squared error. At least 20 examples
   */
  float[][] measure(List<List<Candidate>> subsets);
}
