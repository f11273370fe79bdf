package org.prunepeft.study;

import java.math.BigDecimal;
import java.util.Comparator;
import java.util.Map;

/** Which of several learning rates a method gets, by its runs on a seed that no table has. */
public final class RateChoice {
  private RateChoice() {}

  /**
   * {@return the rate with the best metric on validation data; of those that are equal the lowest}
   *
   * @param results by rate, one or more
   * @param metric its key; null: the task's first
   * @throws IllegalArgumentException if a run has no such metric, or was not validated
   */
  public static String of(Map<String, RunResult> results, String metric) {
    return results.entrySet().stream()
        .max(
            Comparator.comparingDouble(
                    (Map.Entry<String, RunResult> one) -> validated(one.getValue(), metric))
                .thenComparing(one -> new BigDecimal(one.getKey()), Comparator.reverseOrder()))
        .orElseThrow()
        .getKey();
  }

  private static double validated(RunResult result, String metric) {
    String key = metric == null ? result.metric().key() : metric;
    Double value = result.validation().get(key);
    if (value == null) {
      throw new IllegalArgumentException(
          "learning rates are chosen by %s on validation data, of which a run has none; it has %s"
              .formatted(key, result.validation().keySet().stream().sorted().toList()));
    }
    return value;
  }
}
