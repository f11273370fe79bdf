package org.prunepeft.search.measured;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A number with the interval that holds the truth in 95 of 100 cases.
 *
 * @param mean the best guess
 * @param low the interval's lower end
 * @param high the interval's upper end
 */
public record Estimate(double mean, double low, double high) {
  /** So many standard errors of a normal distribution the interval reaches to each side. */
  private static final double NORMAL = 1.959964;

  /**
   * {@return the standard error by which a normal distribution would give the interval's upper
   * half}
   */
  public double standardError() {
    return (high - mean) / NORMAL;
  }

  /** {@return whether zero lies in the interval} */
  public boolean holdsZero() {
    return low <= 0 && high >= 0;
  }

  /** {@return the components by name, for JSON} */
  public Map<String, Object> toMap() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("mean", mean);
    map.put("low", low);
    map.put("high", high);
    return map;
  }
}
