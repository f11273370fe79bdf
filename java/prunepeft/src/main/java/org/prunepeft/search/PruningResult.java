package org.prunepeft.search;

import java.util.List;
import java.util.OptionalInt;

/**
 * A configuration that pruning found, with all that led to it.
 *
 * @param space the supernet
 * @param strategy which criteria judged which partition
 * @param rounds what each round saw and did
 */
public record PruningResult(SearchSpace space, Strategy strategy, List<PruningRound> rounds) {
  /** Copies the list. */
  public PruningResult {
    rounds = List.copyOf(rounds);
  }

  /** {@return the configuration: the modules that are left, by layer, type and name} */
  public List<Candidate> kept() {
    return rounds.get(rounds.size() - 1).survivors();
  }

  /**
   * {@return the round, from 1, in which a module went; empty if it is left}
   *
   * @param module a module's name
   */
  public OptionalInt removedIn(String module) {
    for (PruningRound round : rounds) {
      for (Removal removal : round.removals()) {
        if (removal.module().name().equals(module)) {
          return OptionalInt.of(round.index());
        }
      }
    }
    return OptionalInt.empty();
  }
}
