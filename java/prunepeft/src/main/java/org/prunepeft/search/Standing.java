package org.prunepeft.search;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Where a module stood in a round: how near it was to going, or to staying.
 *
 * @param verdict what the criteria said of it
 * @param fate whether it went
 * @param place in the order in which modules go, from 1
 * @param rival the module on the other side of the cut that lies nearest to it: of one that went
 *     the next that stayed, of one that stayed the last that went; empty if all stayed or went, and
 *     of one that was spared, which no probability decided
 */
public record Standing(Verdict verdict, Fate fate, int place, Optional<Verdict> rival) {
  /** What a round did with a module. */
  public enum Fate {
    /** It was removed. */
    WENT,
    /** It was next to go, but the last that fits the budget. */
    SPARED,
    /** It is left. */
    STAYED
  }

  /**
   * {@return the standings of all modules that a round judged, the first to go first}
   *
   * @param round of a search by pruning
   */
  public static List<Standing> of(PruningRound round) {
    Map<String, Integer> removed = new HashMap<>();
    for (Removal removal : round.removals()) {
      removed.putIfAbsent(removal.module().name(), removed.size());
    }
    Set<String> spared = new HashSet<>(Candidate.names(round.spared()));
    List<Verdict> order = new ArrayList<>(round.verdicts());
    // Which of two equal ones goes first is known of those that went alone.
    order.sort(
        Comparator.comparingInt((Verdict each) -> rank(removed, each))
            .thenComparing(Comparator.comparingDouble(Verdict::probability).reversed())
            .thenComparing(Verdict::meanRank)
            .thenComparing(Verdict::module, Candidate.CANONICAL));
    Optional<Verdict> lastGone = Optional.empty();
    Optional<Verdict> firstLeft = Optional.empty();
    for (Verdict each : order) {
      if (removed.containsKey(each.module().name())) {
        lastGone = Optional.of(each);
      } else if (firstLeft.isEmpty() && !spared.contains(each.module().name())) {
        firstLeft = Optional.of(each);
      }
    }
    List<Standing> standings = new ArrayList<>();
    for (Verdict each : order) {
      String name = each.module().name();
      Fate fate =
          removed.containsKey(name) ? Fate.WENT : spared.contains(name) ? Fate.SPARED : Fate.STAYED;
      Optional<Verdict> rival =
          switch (fate) {
            case WENT -> firstLeft;
            case STAYED -> lastGone;
            case SPARED -> Optional.empty();
          };
      standings.add(new Standing(each, fate, standings.size() + 1, rival));
    }
    return List.copyOf(standings);
  }

  private static int rank(Map<String, Integer> removed, Verdict verdict) {
    return removed.getOrDefault(verdict.module().name(), removed.size());
  }

  /**
   * {@return by how much its pruning probability lies above the cut, if it went, or below it
   * (negative), if it stayed: the difference to its rival's; NaN if there is none}
   */
  public double margin() {
    return rival.map(other -> verdict.probability() - other.probability()).orElse(Double.NaN);
  }
}
