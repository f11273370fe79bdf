package org.prunepeft.train;

import java.util.Locale;

/** What becomes of a training's step whose loss or gradient is NaN or infinite. */
public enum NonFinite {
  /** The training ends with an error that names the step, its examples and the first module. */
  STOP,
  /** The step changes no weight, and its examples do not count in the epoch's loss. */
  SKIP;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
