package org.prunepeft.search;

import java.util.Map;

/**
 * What a training showed of each module, by module name. The halves hold the same weights as the
 * whole, with the gradients and outputs of the first and of the second half of the batches; how
 * well they agree is the reliability of a criterion.
 *
 * @param whole over all batches
 * @param firstHalf over the first half of them; empty if halves were not measured
 * @param secondHalf over the second half of them; empty if halves were not measured
 */
public record Observation(
    Map<String, ModuleStatistics> whole,
    Map<String, ModuleStatistics> firstHalf,
    Map<String, ModuleStatistics> secondHalf) {
  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public Observation {
    whole = Map.copyOf(whole);
    firstHalf = Map.copyOf(firstHalf);
    secondHalf = Map.copyOf(secondHalf);
    if (firstHalf.isEmpty() != secondHalf.isEmpty()) {
      throw new IllegalArgumentException(
          "an observation must have both halves or neither, got statistics of "
              + firstHalf.size()
              + " modules in the first half and of "
              + secondHalf.size()
              + " in the second");
    }
  }

  /**
   * {@return an observation whose halves were not measured}
   *
   * @param whole statistics by the modules' names, over all batches
   */
  public static Observation of(Map<String, ModuleStatistics> whole) {
    return new Observation(whole, Map.of(), Map.of());
  }

  /** {@return whether the two halves of the batches were measured} */
  public boolean hasHalves() {
    return !firstHalf.isEmpty();
  }
}
