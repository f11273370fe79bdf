package org.prunepeft.search;

import java.util.Map;
import org.prunepeft.text.Required;

/**
 * The criteria that judged the modules of a partition in one round.
 *
 * @param partition whose modules
 * @param weights the share of each criterion by its name, summing to 1; empty if no criterion had
 *     anything to say, so that all modules of the type were alike
 * @param standIn whether they stand in for the partition's own criteria, all of which were left out
 */
public record Panel(Partition partition, Map<String, Double> weights, boolean standIn) {
  /**
   * Copies the map.
   *
   * @throws IllegalArgumentException if the partition is null
   */
  public Panel {
    Required.present("a panel's partition", partition);
    weights = Ordered.map(weights);
  }
}
