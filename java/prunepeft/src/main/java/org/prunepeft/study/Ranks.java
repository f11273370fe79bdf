package org.prunepeft.study;

import java.util.Arrays;
import java.util.List;
import org.prunepeft.search.Ranking;

/** Ranks of methods by their metric: 1 is the best, and those that are equal share their mean. */
public final class Ranks {
  private Ranks() {}

  /**
   * {@return the rank of each value}
   *
   * @param values more is better
   */
  public static double[] of(double... values) {
    return Arrays.stream(Ranking.descendingMeanRanks(values)).map(rank -> rank + 1).toArray();
  }

  /**
   * {@return each method's mean rank over tasks}
   *
   * @param tasks [tasks][methods] values of each task, 1 task or more; more is better
   * @throws IllegalArgumentException if there are no tasks, or not as many methods in each
   */
  public static double[] average(List<double[]> tasks) {
    if (tasks.stream().mapToInt(values -> values.length).distinct().count() != 1) {
      throw new IllegalArgumentException(
          "ranks over tasks need 1 task or more, with a value of each method in each");
    }
    double[] sums = new double[tasks.get(0).length];
    for (double[] values : tasks) {
      double[] ranks = of(values);
      Arrays.setAll(sums, i -> sums[i] + ranks[i]);
    }
    return Arrays.stream(sums).map(sum -> sum / tasks.size()).toArray();
  }
}
