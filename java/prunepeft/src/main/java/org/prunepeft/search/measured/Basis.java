package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.List;

/**
 * Orthonormal columns that span those added, so that what many subsets say of few modules is held
 * in as many numbers as there are modules. Columns have mean zero.
 */
final class Basis {
  private static final double DEPENDENT = 1e-8;

  private final int length;
  private final List<double[]> columns = new ArrayList<>();

  Basis(int length) {
    this.length = length;
  }

  int size() {
    return columns.size();
  }

  double[] column(int at) {
    return columns.get(at);
  }

  /** Adds what of a column is new (Gram and Schmidt, twice, which is enough). */
  void add(double[] column) {
    double norm = Math.sqrt(Statistics.dot(column, column));
    double[] left = residual(residual(column));
    double rest = Math.sqrt(Statistics.dot(left, left));
    // Columns of mean zero span one dimension less than there are rows.
    if (rest > DEPENDENT * norm && columns.size() < length - 1) {
      for (int s = 0; s < length; s++) {
        left[s] /= rest;
      }
      columns.add(left);
    }
  }

  /** Coordinates of the part of a column that lies in the span. */
  double[] project(double[] column) {
    double[] coordinates = new double[columns.size()];
    for (int k = 0; k < coordinates.length; k++) {
      coordinates[k] = Statistics.dot(columns.get(k), column);
    }
    return coordinates;
  }

  /** The column that has these coordinates. */
  double[] expand(double[] coordinates) {
    double[] column = new double[length];
    for (int k = 0; k < coordinates.length; k++) {
      double[] basis = columns.get(k);
      for (int s = 0; s < length; s++) {
        column[s] += coordinates[k] * basis[s];
      }
    }
    return column;
  }

  /** What of a column lies outside of the span. */
  double[] residual(double[] column) {
    double[] left = column.clone();
    for (double[] basis : columns) {
      double along = Statistics.dot(basis, left);
      for (int s = 0; s < length; s++) {
        left[s] -= along * basis[s];
      }
    }
    return left;
  }
}
