package org.prunepeft.train;

import java.util.List;
import java.util.Locale;
import org.prunepeft.text.Spelling;

/** How the learning rate goes after its warm-up; Hugging Face's {@code lr_scheduler_type}. */
public enum Schedule {
  /** It stays at its peak. */
  CONSTANT,
  /** It falls to 0 in a straight line. */
  LINEAR,
  /** It falls to 0 along half a cosine. */
  COSINE;

  /**
   * The schedule of a name, in upper or lower case.
   *
   * @param name constant, linear or cosine; constant_with_warmup is constant, since each has a
   *     warm-up
   * @return the schedule
   * @throws IllegalArgumentException if there is none; names those that there are
   */
  public static Schedule byName(String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "constant", "constant_with_warmup" -> CONSTANT;
      case "linear" -> LINEAR;
      case "cosine" -> COSINE;
      default ->
          throw new IllegalArgumentException(
              Spelling.unknown(
                  "schedule of the learning rate",
                  name,
                  List.of("constant", "constant_with_warmup", "linear", "cosine")));
    };
  }

  /**
   * {@return the rate's share of its peak, in [0, 1]}
   *
   * @param step 0-based
   * @param steps of the whole training, 1 or more
   * @param warmupSteps over which it rises linearly, the last of them at the peak (Hugging Face's
   *     begins at 0 and is at the peak a step later); 0 or more
   */
  public double factor(int step, int steps, int warmupSteps) {
    if (step < warmupSteps) {
      return (step + 1.0) / warmupSteps;
    }
    double progress = (step - warmupSteps) / (double) Math.max(1, steps - warmupSteps);
    return switch (this) {
      case CONSTANT -> 1;
      case LINEAR -> 1 - progress;
      case COSINE -> 0.5 * (1 + StrictMath.cos(StrictMath.PI * progress));
    };
  }
}
