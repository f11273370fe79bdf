package org.prunepeft.settings;

import java.math.BigDecimal;
import java.util.OptionalLong;

/**
 * How many trainable parameters may be left of a supernet, the head apart.
 *
 * @param share of the supernet's, in (0, 1]; ignored where there is a number
 * @param parameters their number, 1 or more
 */
public record Budget(double share, OptionalLong parameters) {
  /**
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Budget {
    if (!(share > 0 && share <= 1)) {
      throw new IllegalArgumentException(
          "the share to keep must be above 0 and at most 1, got " + share);
    }
    if (parameters.isPresent() && parameters.getAsLong() < 1) {
      throw new IllegalArgumentException(
          "the budget must be at least 1 parameter, got " + parameters.getAsLong());
    }
  }

  /** {@return a share of the supernet's parameters, in (0, 1]} */
  public static Budget share(double share) {
    return new Budget(share, OptionalLong.empty());
  }

  /**
   * {@return at most so many parameters}
   *
   * @param count 1 or more
   */
  public static Budget parameters(long count) {
    return new Budget(1, OptionalLong.of(count));
  }

  /** {@return keep 0.5, or budget 100000} */
  @Override
  public String toString() {
    return parameters.isPresent()
        ? "budget " + parameters.getAsLong()
        : "keep " + BigDecimal.valueOf(share).stripTrailingZeros().toPlainString();
  }

  /**
   * {@return the parameters that may be left}
   *
   * @param supernet trainable parameters of all modules together
   */
  public long of(long supernet) {
    // 0.7 times 46,080 is less than 32,256 in floating point.
    return parameters.orElseGet(
        () -> BigDecimal.valueOf(share).multiply(BigDecimal.valueOf(supernet)).longValue());
  }
}
