package org.prunepeft.train.pass;

import java.util.Arrays;
import java.util.stream.Collectors;

/** A loss, a gradient or a prediction that is NaN or infinite. */
public final class DivergedException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  public DivergedException(String message) {
    super(message);
  }

  /** Examples of a data set, each by its place, from 0, as messages name them. */
  public static String named(int[] examples) {
    return "examples "
        + Arrays.stream(examples).mapToObj(String::valueOf).collect(Collectors.joining(", "));
  }
}
