package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.List;

/** Values of all subsets that were measured on the same examples, a row a subset. */
final class ValueTable {
  private final List<double[]> rows = new ArrayList<>();
  private final List<Double> means = new ArrayList<>();
  private final List<double[]> deviations = new ArrayList<>();
  private final List<double[]> covariances = new ArrayList<>();

  void add(double[] values) {
    double mean = Statistics.mean(values);
    double[] deviation = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      deviation[i] = values[i] - mean;
    }
    rows.add(values);
    means.add(mean);
    deviations.add(deviation);
    double[] covariance = new double[rows.size()];
    for (int i = 0; i < covariance.length; i++) {
      covariance[i] = Statistics.dot(deviation, deviations.get(i)) / (values.length - 1);
    }
    covariances.add(covariance);
  }

  int examples() {
    return rows.get(0).length;
  }

  double[] values(int row) {
    return rows.get(row);
  }

  double mean(int row) {
    return means.get(row);
  }

  /** The covariance of two subsets' values over the examples. */
  double covariance(int one, int other) {
    return one >= other ? covariances.get(one)[other] : covariances.get(other)[one];
  }
}
