package org.prunepeft.search;

import java.util.Map;
import org.prunepeft.text.Required;

/**
 * How a module was judged in one round.
 *
 * @param partition where it sits; the {@link Panel} of that partition judged it
 * @param scores by criterion, those left out included
 * @param probability the pruning probability, the panel's mean; high goes first
 * @param meanRank the mean of the panel's ranks; decides between equal probabilities
 */
public record Verdict(
    Candidate module,
    Partition partition,
    Map<String, Score> scores,
    double probability,
    double meanRank) {
  /**
   * Copies the map.
   *
   * @throws IllegalArgumentException if module or partition is null
   */
  public Verdict {
    Required.present("a verdict's module", module);
    Required.present("a verdict's partition", partition);
    scores = Ordered.map(scores);
  }
}
