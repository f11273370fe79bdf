package org.prunepeft.train;

import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * A loss, a gradient or a prediction that is NaN or infinite: the training diverged. The message
 * says where, and mostly that a lower learning rate helps.
 */
public final class DivergedException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  /** {@code message} is for the user: what is not finite, and where. */
  public DivergedException(String message) {
    super(message);
  }

  /** Examples of a data set, each by its place, from 0, as messages name them. */
  public static String named(int[] examples) {
    return "examples "
        + Arrays.stream(examples).mapToObj(String::valueOf).collect(Collectors.joining(", "));
  }
}
