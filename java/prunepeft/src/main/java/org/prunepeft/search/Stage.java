package org.prunepeft.search;

import org.prunepeft.text.Required;

/**
 * One training of the supernet.
 *
 * @param kind what it is for
 * @param index the turn of the warm-up or the round of pruning, from 1
 * @param fresh whether the modules start from new initial weights, drawn from the seed, this stage
 *     and each module's name, and so not depending on which others are left; if not, they go on
 *     from the weights that the stage before it left
 * @param rate of the learning rates: 1, or 0.5 in a second attempt
 */
public record Stage(StageKind kind, int index, boolean fresh, double rate) {
  /**
   * @throws IllegalArgumentException if the kind is null or index is below 1
   */
  public Stage {
    Required.present("a stage's kind", kind);
    if (index < 1) {
      throw new IllegalArgumentException("a stage's index must be at least 1, got " + index);
    }
  }

  /**
   * A first attempt.
   *
   * @param kind what it is for
   * @param index from 1
   * @param fresh whether the modules start from new initial weights
   */
  public Stage(StageKind kind, int index, boolean fresh) {
    this(kind, index, fresh, 1);
  }

  /** A second attempt: from new weights, at half the learning rates. */
  Stage gentler() {
    return new Stage(kind, index, true, rate / 2);
  }

  /** {@return its name in messages: warm-up turn 2, round 3} */
  public String name() {
    return (kind == StageKind.WARM_UP ? "warm-up turn " : "round ") + index;
  }
}
