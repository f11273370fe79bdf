package org.prunepeft.study;

/**
 * One method against another in a table.
 *
 * @param arm the method
 * @param other what it is compared with
 * @param difference of the two
 * @param adjusted its p by Holm's correction over all pairs of the table; NaN: it has none
 */
public record Comparison(Arm arm, Arm other, Difference difference, double adjusted) {
  private static final double LEVEL = 0.05;

  /** What a difference shows. */
  public enum Verdict {
    /** The first is better. */
    BETTER,
    /** The second is better. */
    WORSE,
    /** It may have either sign. */
    NONE
  }

  /**
   * {@return what it shows: a difference shows only if neither of its intervals holds zero and it
   * is below 5 % after Holm's correction}
   */
  public Verdict verdict() {
    Interval drawn = difference.bootstrap();
    boolean shows =
        difference.student() != null
            && !difference.student().holdsZero()
            && (drawn == null || !drawn.holdsZero())
            && adjusted < LEVEL;
    return !shows ? Verdict.NONE : difference.mean() > 0 ? Verdict.BETTER : Verdict.WORSE;
  }
}
