package org.prunepeft.study;

import java.util.stream.Stream;

/**
 * One method against another in a table.
 *
 * @param arm the method
 * @param other what it is compared with
 * @param difference of the two
 * @param adjusted its p by Holm's correction over all pairs of the table; NaN: it has none
 */
public record MethodComparison(
    Arm arm, Arm other, DifferenceOverSeeds difference, double adjusted) {
  private static final double LEVEL = 0.05;

  /** What a difference shows. */
  public enum Conclusion {
    /** The first is better. */
    BETTER,
    /** The second is better. */
    WORSE,
    /** It may have either sign. */
    NO_DIFFERENCE
  }

  /**
   * {@return what it shows: a difference shows only if none of its intervals holds zero and it is
   * below 5 % after Holm's correction}
   */
  public Conclusion conclusion() {
    boolean shows =
        difference.student() != null
            && Stream.of(difference.student(), difference.bootstrap(), difference.bySeed())
                .noneMatch(interval -> interval != null && interval.holdsZero())
            && adjusted < LEVEL;
    return !shows
        ? Conclusion.NO_DIFFERENCE
        : difference.mean() > 0 ? Conclusion.BETTER : Conclusion.WORSE;
  }
}
