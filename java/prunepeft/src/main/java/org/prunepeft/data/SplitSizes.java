package org.prunepeft.data;

/**
 * How many examples each part of a data set has. Of a part whose size is null the task decides.
 *
 * @param train 1 or more
 * @param validation 0 or more
 * @param test 0 or more
 */
public record SplitSizes(Integer train, Integer validation, Integer test) {
  /** The task decides on all parts. */
  public static final SplitSizes UNSPECIFIED = new SplitSizes(null, null, null);

  /** Examples to train on, where a task has more. */
  public static final int TRAIN = 4000;

  /** Examples to validate on, likewise. */
  public static final int VALIDATION = 1000;

  /** Examples to test on, likewise. */
  public static final int TEST = 2000;

  /** What tasks take by default. */
  public static final SplitSizes DEFAULT = new SplitSizes(TRAIN, VALIDATION, TEST);

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

  /**
   * {@return these sizes, with others in place of those that are not specified}
   *
   * @param others for the parts without a size here
   */
  public SplitSizes orElse(SplitSizes others) {
    return new SplitSizes(
        train == null ? others.train : train,
        validation == null ? others.validation : validation,
        test == null ? others.test : test);
  }

  private static void check(String part, Integer size, int minimum) {
    if (size != null && size < minimum) {
      throw new IllegalArgumentException(
          "%s size must be at least %d, got %d".formatted(part, minimum, size));
    }
  }
}
