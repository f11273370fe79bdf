package org.prunepeft.run;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Tells the trainings of a run apart in its metrics: the second of a name is "name (2)". A run that
 * is resumed names its trainings from the first on again, those too that are not made again.
 */
final class TrainingNames {
  private final Map<String, Integer> begun = new HashMap<>();

  /** What the training that begins is called. */
  String next(String name) {
    int count = begun.merge(name, 1, Integer::sum);
    return count == 1 ? name : String.format(Locale.ROOT, "%s (%d)", name, count);
  }
}
