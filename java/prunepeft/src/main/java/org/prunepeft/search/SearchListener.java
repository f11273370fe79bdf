package org.prunepeft.search;

import java.util.List;

/** Hears how a search goes on, in the thread that runs it. What it throws ends the search. */
public interface SearchListener {
  /** Hears nothing. */
  SearchListener NONE = new SearchListener() {};

  /**
   * A turn of the warm-up begins.
   *
   * @param turn from 1
   * @param turns how many there are
   * @param trainings how many trainings this turn needs, those shared between criteria counted once
   */
  default void turnStarted(int turn, int turns, int trainings) {}

  /**
   * A turn of the warm-up has ended.
   *
   * @param turn from 1
   * @param turns how many there are
   * @param chains what each criterion removed in it
   */
  default void turnFinished(int turn, int turns, List<WarmUpTurn> chains) {}

  /**
   * A round of pruning begins.
   *
   * @param round from 1
   * @param rounds how many there are
   * @param modules those that are left
   * @param target the parameters to be left after it
   */
  default void roundStarted(int round, int rounds, List<Candidate> modules, long target) {}

  /**
   * A round of pruning has ended.
   *
   * @param round what it scored and removed
   * @param rounds how many there are
   */
  default void roundFinished(PruningRound round, int rounds) {}

  /**
   * Asked before each training; if true, the search ends with a {@link
   * java.util.concurrent.CancellationException}.
   *
   * @return true to end it; false, unless overridden
   */
  default boolean cancelled() {
    return false;
  }
}
