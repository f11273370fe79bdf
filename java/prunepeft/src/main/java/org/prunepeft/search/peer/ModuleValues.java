package org.prunepeft.search.peer;

import java.util.List;
import java.util.Random;
import org.hipparchus.linear.Array2DRowRealMatrix;
import org.hipparchus.linear.ArrayRealVector;
import org.hipparchus.linear.CholeskyDecomposition;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.RealMatrix;
import org.hipparchus.linear.RealVector;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.search.peer.PeerResult.Trial;

/**
 * What modules are worth, by Bayesian linear regression of trials' metrics on which modules they
 * had: metric = level + Σ w + noise, w alike and independent a priori. Half of the variance between
 * random subsets of the budget is taken for noise.
 */
final class ModuleValues {
  private static final double NOISE = 0.5;

  /** In units of the trials' standard deviation. */
  private final RealVector mean;

  /** Lᵀ of the precision's Cholesky decomposition. */
  private final RealMatrix upper;

  private final double unit;

  private ModuleValues(RealVector mean, RealMatrix upper, double unit) {
    this.mean = mean;
    this.upper = upper;
    this.unit = unit;
  }

  static ModuleValues of(SearchSpace space, long budget, List<Trial> trials) {
    int count = space.candidates().size();
    double share = (double) budget / space.totalParameters();
    // So that Σ w of a random subset has the rest of the variance, 1 - NOISE.
    double prior = (1 - NOISE) / Math.max(1, count * share * (1 - share));
    double level = trials.stream().mapToDouble(Trial::metric).average().orElse(0);
    double variance =
        trials.stream()
            .mapToDouble(trial -> (trial.metric() - level) * (trial.metric() - level))
            .average()
            .orElse(0);
    double unit = variance > 0 ? Math.sqrt(variance) : 1;
    RealMatrix precision = MatrixUtils.createRealIdentityMatrix(count).scalarMultiply(1 / prior);
    RealVector right = new ArrayRealVector(count);
    if (!trials.isEmpty()) {
      RealMatrix design = design(space, trials);
      RealVector metrics =
          new ArrayRealVector(
              trials.stream().mapToDouble(trial -> (trial.metric() - level) / unit).toArray());
      precision = precision.add(design.transpose().multiply(design).scalarMultiply(1 / NOISE));
      right = design.transpose().operate(metrics).mapMultiply(1 / NOISE);
    }
    CholeskyDecomposition decomposition = new CholeskyDecomposition(precision);
    return new ModuleValues(decomposition.getSolver().solve(right), decomposition.getLT(), unit);
  }

  /** A row a trial, 1 for a module that it had and 0 for another, less the column's mean. */
  private static RealMatrix design(SearchSpace space, List<Trial> trials) {
    double[][] rows = new double[trials.size()][space.candidates().size()];
    for (int column = 0; column < rows[0].length; column++) {
      Candidate module = space.candidates().get(column);
      double sum = 0;
      for (int row = 0; row < rows.length; row++) {
        rows[row][column] = trials.get(row).modules().contains(module.name()) ? 1 : 0;
        sum += rows[row][column];
      }
      for (double[] row : rows) {
        row[column] -= sum / rows.length;
      }
    }
    return new Array2DRowRealMatrix(rows, false);
  }

  /** By how much the metric is expected to rise with each module. */
  double[] mean() {
    return mean.mapMultiply(unit).toArray();
  }

  /** The same, drawn as the trials leave it open. */
  double[] draw(Random random) {
    RealVector deviation = new ArrayRealVector(mean.getDimension());
    for (int i = 0; i < deviation.getDimension(); i++) {
      deviation.setEntry(i, random.nextGaussian());
    }
    MatrixUtils.solveUpperTriangularSystem(upper, deviation);
    return mean.add(deviation).mapMultiply(unit).toArray();
  }
}
