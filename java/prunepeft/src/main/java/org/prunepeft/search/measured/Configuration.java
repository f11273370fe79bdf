package org.prunepeft.search.measured;

import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.search.Candidate;

/**
 * A point of the front: no other that was found has a better metric at the same costs or less.
 *
 * @param modules those that are kept, sorted by layer, type and name
 * @param metric what its metric is expected to be, from the examples that choices were made on
 * @param belowSupernet by how much that lies below the supernet's metric; negative if above
 * @param confirmed the same by how it was measured on the other examples; empty if it was not
 * @param costs by name, in the order of the objectives
 */
public record Configuration(
    List<Candidate> modules,
    Estimate metric,
    Estimate belowSupernet,
    Optional<Estimate> confirmed,
    Map<String, Double> costs) {
  /** Copies the collections. */
  public Configuration {
    modules = List.copyOf(modules);
    costs = Collections.unmodifiableMap(new LinkedHashMap<>(costs));
  }

  /**
   * {@return the cheapest configuration that is expected to lie at most so much below the supernet,
   * by one standard error more; empty if none does} The cheapest of many is one that noise made
   * look better than it is: by their means alone too many of those that are chosen lie further
   * below.
   *
   * @param front configurations, with the cost in question
   * @param cost name of the cost
   * @param tolerance in the metric's units, at least 0
   */
  public static Optional<Configuration> cheapest(
      List<Configuration> front, String cost, double tolerance) {
    return front.stream()
        .filter(each -> each.belowSupernet.mean() + each.belowSupernet.standardError() <= tolerance)
        .min(
            Comparator.comparingDouble((Configuration each) -> each.costs.get(cost))
                .thenComparing(each -> each.belowSupernet.mean()));
  }
}
