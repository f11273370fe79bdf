package org.prunepeft.search;

import java.util.Optional;
import java.util.OptionalDouble;
import org.prunepeft.text.EnumNames;
import org.prunepeft.text.Required;

/**
 * How well one criterion distinguishes the modules of one type.
 *
 * @param criterion its name
 * @param type the type of module
 * @param spread (max − min) of its scores over the mean of their absolute values; 0 if all are 0
 * @param reliability the rank correlation of its scores from the two halves of the batches, in [-1,
 *     1]; empty if the criterion sees no data, halves were not measured, or fewer than three
 *     modules are ranked
 * @param leftOut why it has no say; empty if it has
 */
public record Reading(
    String criterion,
    String type,
    double spread,
    OptionalDouble reliability,
    Optional<LeftOut> leftOut) {
  /**
   * @throws IllegalArgumentException if criterion or type is null
   */
  public Reading {
    Required.present("a reading's criterion", criterion);
    Required.present("a reading's type", type);
  }

  /** Why a criterion has no say over a type of module. */
  public enum LeftOut {
    /** There is but one module of the type: nothing to rank. */
    ONE_MODULE("one module alone"),
    /** All its scores are equal. */
    TIED("all scores equal"),
    /** Its scores differ by less than the spread that counts. */
    NEARLY_TIED("scores nearly equal");

    private final String reason;

    LeftOut(String reason) {
      this.reason = reason;
    }

    /** {@return the reason in words} */
    public String reason() {
      return reason;
    }

    /** The name in strategy files, such as {@code nearly-tied}. */
    @Override
    public String toString() {
      return EnumNames.dashed(this);
    }
  }

  /** {@return whether the criterion has a say} */
  public boolean informative() {
    return leftOut.isEmpty();
  }
}
