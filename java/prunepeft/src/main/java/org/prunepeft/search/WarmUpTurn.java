package org.prunepeft.search;

import java.util.List;
import java.util.Optional;

/**
 * What one criterion saw and did in one turn of the warm-up.
 *
 * @param turn from 1
 * @param criterion its name
 * @param readings how well it distinguished the modules of each type
 * @param removed the names of the modules it removed, in order; none if it distinguished none or
 *     the training was not healthy
 * @param training how it went; empty if that was not measured
 */
public record WarmUpTurn(
    int turn,
    String criterion,
    List<Reading> readings,
    List<String> removed,
    Optional<TrainingHealth> training) {
  /** Copies the lists. */
  public WarmUpTurn {
    readings = List.copyOf(readings);
    removed = List.copyOf(removed);
  }
}
