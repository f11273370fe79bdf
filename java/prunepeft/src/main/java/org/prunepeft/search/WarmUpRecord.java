package org.prunepeft.search;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The evidence that a warm-up gathered for its strategy.
 *
 * @param layers how many layers the model had
 * @param removedPerTurn how many modules each criterion was to remove in a turn
 * @param trainings how many trainings it took, those shared between criteria counted once
 * @param tallies for each criterion how many modules it removed in each partition
 * @param turns what each criterion saw and did, by turn and criterion
 */
public record WarmUpRecord(
    int layers,
    int removedPerTurn,
    int trainings,
    Map<String, Map<Partition, Integer>> tallies,
    List<WarmUpTurn> turns) {
  /** Copies the lists and maps. */
  public WarmUpRecord {
    Map<String, Map<Partition, Integer>> copy = new LinkedHashMap<>();
    tallies.forEach((criterion, tally) -> copy.put(criterion, Ordered.map(tally)));
    tallies = Ordered.map(copy);
    turns = List.copyOf(turns);
  }
}
