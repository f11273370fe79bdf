package org.prunepeft.study;

import java.math.BigDecimal;
import java.util.Comparator;
import java.util.Map;

/** Which of several learning rates a method gets, by its runs on a seed that no table has. */
public final class RateChoice {
  private RateChoice() {}

  /**
   * {@return the rate with the best metric on validation data; of those that are equal the lowest}
   * One whose run diverged is worse than all that did not.
   *
   * @param results by rate, one or more; null: its run diverged
   * @param metric its key; null: the task's first
   * @throws IllegalArgumentException if all runs diverged, or one has no such metric or was not
   *     validated
   */
  public static String of(Map<String, RunResult> results, String metric) {
    return results.entrySet().stream()
        .filter(one -> one.getValue() != null)
        .max(
            Comparator.comparingDouble(
                    (Map.Entry<String, RunResult> one) -> validated(one.getValue(), metric))
                .thenComparing(one -> new BigDecimal(one.getKey()), Comparator.reverseOrder()))
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "training diverged at all learning rates that were tried: %s; try lower ones"
                        .formatted(String.join(", ", results.keySet()))))
        .getKey();
  }

  private static double validated(RunResult result, String metric) {
    String key = metric == null ? result.metric().key() : metric;
    Double value = result.validation().get(key);
    if (value == null) {
      throw new IllegalArgumentException(
          "learning rates are chosen by %s on validation data, of which a run has none; it has %s, so name one of these"
              .formatted(key, result.validation().keySet().stream().sorted().toList()));
    }
    return value;
  }
}
