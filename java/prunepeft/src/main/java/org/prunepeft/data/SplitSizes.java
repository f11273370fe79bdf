package org.prunepeft.data;

/**
 * How many examples each part of a data set has.
 *
 * @param train 1 or more
 * @param validation 0 or more
 * @param test 0 or more
 */
public record SplitSizes(int train, int validation, int test) {
  /** 4,000 to train, 1,000 to validate, 2,000 to test. */
  public static final SplitSizes DEFAULT = new SplitSizes(4000, 1000, 2000);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a size is below its minimum
   */
  public SplitSizes {
    check("train", train, 1);
    check("validation", validation, 0);
    check("test", test, 0);
  }

  /** Examples in all three parts. */
  public long total() {
    return (long) train + validation + test;
  }

  private static void check(String part, int size, int minimum) {
    if (size < minimum) {
      throw new IllegalArgumentException(
          "%s size must be at least %d, got %d".formatted(part, minimum, size));
    }
  }
}
