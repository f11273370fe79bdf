package org.prunepeft.search.measured;

import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.search.Candidate;

/** What a configuration costs, such as parameters or seconds; lower is better. */
public interface Cost {
  /** {@return a unique word for it, such as {@code parameters}} */
  String name();

  /**
   * {@return what the modules cost together, finite; more modules never cost less}
   *
   * @param modules those that are kept, in any order
   */
  double of(Collection<Candidate> modules);

  /** {@return the number of trainable parameters, named {@code parameters}} */
  static Cost parameters() {
    return new Parameters();
  }

  /**
   * {@return a weighted sum of costs}
   *
   * @param name of the sum
   * @param weights at least 0 each
   * @throws IllegalArgumentException if there is none, or a weight is negative or not finite
   */
  static Cost sum(String name, Map<Cost, Double> weights) {
    return new Sum(name, weights);
  }

  /** Trainable parameters. */
  record Parameters() implements Cost {
    @Override
    public String name() {
      return "parameters";
    }

    @Override
    public double of(Collection<Candidate> modules) {
      return Candidate.total(modules);
    }
  }

  /**
   * A weighted sum.
   *
   * @param name of the sum
   * @param weights at least 0 each
   */
  record Sum(String name, Map<Cost, Double> weights) implements Cost {
    /**
     * @throws IllegalArgumentException if there is no cost, or a weight is negative or not finite
     */
    public Sum {
      if (weights.isEmpty()) {
        throw new IllegalArgumentException("a sum of costs must hold at least one, got none");
      }
      weights.forEach(
          (cost, weight) -> {
            if (!(weight >= 0 && Double.isFinite(weight))) {
              throw new IllegalArgumentException(
                  "the weight of a cost must be at least 0, got " + weight + " for " + cost.name());
            }
          });
      weights = Map.copyOf(weights);
    }

    @Override
    public double of(Collection<Candidate> modules) {
      // In the order of names: that of a map's copy changes from run to run, and with it the sum's
      // last bits.
      Map<String, Double> terms = new TreeMap<>();
      weights.forEach(
          (cost, weight) -> terms.merge(cost.name(), weight * cost.of(modules), Double::sum));
      return terms.values().stream().mapToDouble(Double::doubleValue).sum();
    }
  }
}
