package org.prunepeft.study;

/**
 * A 95 % interval.
 *
 * @param low its lower end
 * @param high its upper end, not below the lower
 */
public record Interval(double low, double high) {
  /** {@return whether zero is in it, so that what it is of may have either sign} */
  public boolean holdsZero() {
    return low <= 0 && high >= 0;
  }
}
