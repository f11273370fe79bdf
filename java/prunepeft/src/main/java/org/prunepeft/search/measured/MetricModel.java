package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.hipparchus.exception.MathIllegalArgumentException;
import org.hipparchus.linear.CholeskyDecomposition;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.RealMatrix;
import org.prunepeft.search.measured.MetricFit.Variances;
import org.prunepeft.search.measured.Terms.ModulePair;

/**
 * A Bayesian linear model of the metric of subsets.
 *
 * <p>The means of subsets over the examples, less their own mean, are m = X·w + f + ε. The weights
 * of modules have a prior around a free mean for each type, with a variance of its own and a part
 * that neighbouring layers share; f is what single modules do not explain, independent between
 * subsets; ε is there because the examples are a sample. Its covariance follows from the examples
 * themselves: each has its own effect of each module, and a remainder. The other variances are
 * those of the highest evidence; over the scale of the modules' variances the model is averaged.
 */
final class MetricModel {
  private static final double[] SCALES = {1 / 9.0, 1 / 3.0, 1, 3, 9};
  private static final double LEAST_SHARE = 0.02;

  private final MetricFit fit;
  private final Archive archive;
  private final ValueTable values;
  private final int[] rows;
  private final Terms terms;
  private final Basis basis;
  private final double level;
  private final double[] projected;
  private final RealMatrix design;
  private final Variances variances;
  private double[] weights;
  private RealMatrix prior;
  private RealMatrix covariance;
  private RealMatrix estimator;
  private RealMatrix inverse;
  private double[] misfit;
  private double[] intrinsic;
  private double freedom;
  private RealMatrix root;

  /** Fits the values of some rows of the archive, which rise. */
  static MetricModel fit(Pool pool, Archive archive, ValueTable values, int[] rows, int pairs) {
    return new MetricModel(MetricFit.first(pool, archive, values, rows, pairs));
  }

  /** Fits more subsets, with the pairs of another fit, and beginning with its variances. */
  static MetricModel refit(MetricModel before, int[] rows) {
    return new MetricModel(MetricFit.again(before.fit, rows));
  }

  /** Averages over the scales of the modules' variances, by their evidence. */
  private MetricModel(MetricFit fit) {
    this.fit = fit;
    archive = fit.archive();
    values = fit.values();
    rows = fit.rows();
    terms = fit.terms();
    basis = fit.basis();
    level = fit.level();
    projected = fit.projected();
    design = fit.design();
    variances = fit.variances();
    int count = terms.count();
    double[] evidences = new double[SCALES.length];
    CholeskyDecomposition[] decompositions = new CholeskyDecomposition[SCALES.length];
    for (int g = 0; g < SCALES.length; g++) {
      Variances scaled = variances.scaled(SCALES[g]);
      decompositions[g] = fit.decomposed(scaled);
      evidences[g] = fit.evidence(scaled, decompositions[g]);
    }
    double top = Arrays.stream(evidences).max().orElseThrow();
    double[] shares = Arrays.stream(evidences).map(e -> Math.exp(e - top)).toArray();
    double least = LEAST_SHARE * Arrays.stream(shares).sum();
    double total = Arrays.stream(shares).filter(share -> share >= least).sum();

    List<double[]> each = new ArrayList<>();
    List<Double> weighed = new ArrayList<>();
    weights = new double[count];
    prior = zeros(count, count);
    covariance = zeros(count, count);
    estimator = zeros(count, basis.size());
    inverse = zeros(basis.size(), basis.size());
    intrinsic = new double[count];
    freedom = 0;
    for (int g = 0; g < SCALES.length; g++) {
      if (shares[g] < least) {
        continue;
      }
      double share = shares[g] / total;
      RealMatrix solver = decompositions[g].getSolver().getInverse();
      RealMatrix own = fit.prior(variances.scaled(SCALES[g]));
      RealMatrix priorDesign = own.multiplyTransposed(design);
      RealMatrix a = priorDesign.multiply(solver);
      double[] ownWeights = a.operate(projected);
      RealMatrix resolution = a.multiply(design);
      RealMatrix rest = MatrixUtils.createRealIdentityMatrix(count).subtract(resolution);
      RealMatrix restPrior = rest.multiply(own);
      for (int i = 0; i < count; i++) {
        double[] row = a.getRow(i);
        intrinsic[i] +=
            share
                * (Math.max(0, Statistics.dot(restPrior.getRow(i), rest.getRow(i)))
                    + variances.misfit() * Statistics.dot(row, row));
        weights[i] += share * ownWeights[i];
      }
      prior = prior.add(own.scalarMultiply(share));
      covariance =
          covariance.add(own.subtract(a.multiplyTransposed(priorDesign)).scalarMultiply(share));
      estimator = estimator.add(a.scalarMultiply(share));
      inverse = inverse.add(solver.scalarMultiply(share));
      freedom += share * (rows.length - 1 - resolution.getTrace());
      each.add(ownWeights);
      weighed.add(share);
    }
    for (int g = 0; g < each.size(); g++) {
      for (int i = 0; i < count; i++) {
        double off = each.get(g)[i] - weights[i];
        intrinsic[i] += weighed.get(g) * off * off;
        covariance.addToEntry(i, i, weighed.get(g) * off * off);
      }
    }
    misfit = basis.expand(inverse.operate(projected));
    double[] residual = basis.residual(fit.means());
    for (int s = 0; s < misfit.length; s++) {
      misfit[s] = variances.misfit() * (misfit[s] + residual[s] / fit.noise(variances));
    }
  }

  /** What each term weighs: modules, pairs, curve. */
  List<Estimate> estimates() {
    RealMatrix spreads = estimator.multiply(MetricFit.matrix(fit.sampledInBasis()));
    double examples = values.examples() - 1.0;
    List<Estimate> estimates = new ArrayList<>();
    for (int i = 0; i < terms.count(); i++) {
      double sampling = Math.max(0, Statistics.dot(spreads.getRow(i), estimator.getRow(i)));
      estimates.add(
          Statistics.estimate(
              weights[i],
              sampling + intrinsic[i],
              Statistics.degreesOfFreedom(sampling, examples, intrinsic[i], Math.max(3, freedom))));
    }
    return estimates;
  }

  List<ModulePair> pairs() {
    return terms.pairs();
  }

  double pairEvidence(int pair) {
    return fit.pairEvidence(pair);
  }

  /** The share of the variance between subsets, noise apart, that the terms explain. */
  double explained() {
    double[] fitted = design.operate(weights);
    double explained = Statistics.dot(fitted, fitted) / (rows.length - 1);
    return explained / (explained + variances.misfit());
  }

  /** The expected metric of a subset. */
  double predict(BitSet subset) {
    int at = fitted(subset);
    return level + Statistics.dot(terms.of(subset), weights) + (at < 0 ? 0 : misfit[at]);
  }

  /**
   * The expected metric of a subset that was measured. The model knows nothing of subsets as large
   * as the supernet or empty; these are as measured.
   */
  double expected(BitSet subset) {
    return fit.pool().isExtreme(subset) ? values.mean(archive.row(subset)) : predict(subset);
  }

  /** How far what is expected of a subset of modules, less that of the best, is from the truth. */
  double varianceToBest(BitSet subset, BitSet best) {
    if (subset.equals(best)) {
      return 0;
    }
    if (fit.pool().isExtreme(best)) {
      return varianceBelow(archive.row(best), subset);
    }
    return fit.pool().isExtreme(subset)
        ? varianceBelow(archive.row(subset), best)
        : varianceOfDifference(subset, best);
  }

  /** The expected metric as a weighted sum of measured means. */
  private double[] contributions(BitSet subset) {
    double[] in = estimator.preMultiply(terms.of(subset));
    int at = fitted(subset);
    double[] contributions;
    if (at < 0) {
      contributions = basis.expand(in);
    } else {
      double[] unitRow = new double[rows.length];
      Arrays.fill(unitRow, -1.0 / rows.length);
      unitRow[at] += 1;
      double[] own = inverse.operate(basis.project(unitRow));
      for (int a = 0; a < in.length; a++) {
        in[a] += variances.misfit() * own[a];
      }
      contributions = basis.expand(in);
      double[] residual = basis.residual(unitRow);
      for (int s = 0; s < contributions.length; s++) {
        contributions[s] += variances.misfit() / fit.noise(variances) * residual[s];
      }
    }
    return contributions;
  }

  /**
   * How far a difference of two expected metrics is from the truth: its variance but for the sample
   * of examples, and that for the sample.
   */
  double varianceOfDifference(BitSet one, BitSet other) {
    if (one.equals(other)) {
      return 0;
    }
    double[] sum = contributions(one);
    double[] less = contributions(other);
    double[] target = terms.of(one);
    double[] lessTarget = terms.of(other);
    for (int s = 0; s < sum.length; s++) {
      sum[s] -= less[s];
    }
    for (int i = 0; i < target.length; i++) {
      target[i] -= lessTarget[i];
    }
    double[] own = new double[rows.length];
    double unfitted = mark(one, own, 1) + mark(other, own, -1);
    return error(sum, target, own, unfitted) + fit.sampled(List.of(sum))[0][0];
  }

  /** The same for a subset's metric. */
  double variance(BitSet subset) {
    double[] own = new double[rows.length];
    double unfitted = mark(subset, own, 1);
    double[] sum = contributions(subset);
    return error(sum, terms.of(subset), own, unfitted) + varianceOfSample(sum, -1);
  }

  /** The same for a measured subset's metric less that of another. */
  double varianceBelow(int row, BitSet subset) {
    double[] own = new double[rows.length];
    double unfitted = mark(subset, own, 1);
    double[] sum = contributions(subset);
    return error(sum, terms.of(subset), own, unfitted) + varianceOfSample(sum, row);
  }

  /**
   * By how much the mean metric of all subsets of a kind is above that of some of them.
   *
   * @param all a large sample of the kind
   * @param some fewer of it, distinct, which were fitted; one alone is all that there is
   */
  Statistics.Shift shift(List<BitSet> all, List<BitSet> some) {
    if (some.size() == 1) {
      return new Statistics.Shift(0, 0, values.examples() - 1.0);
    }
    double[] target = meanTerms(all);
    double[] less = meanTerms(some);
    for (int i = 0; i < target.length; i++) {
      target[i] -= less[i];
    }
    double[] sum = basis.expand(estimator.preMultiply(target));
    // What the terms do not explain: of the many it cancels, of the few it is in their mean.
    double[] own = new double[rows.length];
    double unfitted = 0;
    for (BitSet subset : some) {
      double share = -1.0 / some.size();
      unfitted += share * share * mark(subset, own, share);
    }
    double variance = error(sum, target, own, unfitted) + fit.sampled(List.of(sum))[0][0];
    int most = some.size() - 1;
    return new Statistics.Shift(
        Statistics.dot(target, weights),
        variance,
        Math.max(Math.min(3, most), Math.min(freedom, most)));
  }

  private double[] meanTerms(List<BitSet> subsets) {
    double[] mean = new double[terms.count()];
    for (BitSet subset : subsets) {
      double[] of = terms.of(subset);
      for (int i = 0; i < mean.length; i++) {
        mean[i] += of[i] / subsets.size();
      }
    }
    return mean;
  }

  private double mark(BitSet subset, double[] own, double sign) {
    int at = fitted(subset);
    if (at < 0) {
      return 1;
    }
    own[at] += sign;
    return 0;
  }

  private double error(double[] sum, double[] target, double[] own, double unfitted) {
    double[] off = design.preMultiply(basis.project(sum));
    for (int i = 0; i < off.length; i++) {
      off[i] -= target[i];
    }
    double squares = unfitted;
    for (int s = 0; s < sum.length; s++) {
      squares += (sum[s] - own[s]) * (sum[s] - own[s]);
    }
    return Math.max(0, Statistics.dot(off, prior.operate(off))) + variances.misfit() * squares;
  }

  /** The variance over examples of the level and a sum of means, less a measured subset if any. */
  private double varianceOfSample(double[] sum, int lessRow) {
    double[] whole = Arrays.stream(sum).map(part -> part + 1.0 / rows.length).toArray();
    double variance = fit.sampled(List.of(whole))[0][0];
    if (lessRow >= 0) {
      double examples = values.examples();
      for (int s = 0; s < rows.length; s++) {
        variance -= 2 * whole[s] * values.covariance(rows[s], lessRow) / examples;
      }
      variance += values.covariance(lessRow, lessRow) / examples;
    }
    return Math.max(0, variance);
  }

  private int fitted(BitSet subset) {
    return archive.knows(subset) ? Arrays.binarySearch(rows, archive.row(subset)) : -1;
  }

  /** The expected metric without what was measured of single subsets. */
  Surface surface() {
    return terms.surface(weights);
  }

  /** One of the metrics that may be true, as likely as it is. */
  Surface draw(SplittableRandom random) {
    int count = terms.count();
    if (root == null) {
      double jitter = 1e-9 * Math.max(covariance.getTrace() / count, 1e-18);
      RealMatrix symmetric = covariance.add(covariance.transpose()).scalarMultiply(0.5);
      double ridge = jitter;
      for (int tries = 0; root == null; tries++) {
        try {
          root =
              new CholeskyDecomposition(
                      symmetric.add(
                          MatrixUtils.createRealIdentityMatrix(count).scalarMultiply(ridge)),
                      1e-6,
                      0)
                  .getL();
        } catch (MathIllegalArgumentException notPositive) {
          if (tries > 12) {
            throw notPositive;
          }
          ridge *= 10;
        }
      }
    }
    double[] normal = new double[count];
    for (int i = 0; i < count; i++) {
      normal[i] = random.nextGaussian();
    }
    double[] drawn = root.operate(normal);
    for (int i = 0; i < count; i++) {
      drawn[i] += weights[i];
    }
    return terms.surface(drawn);
  }

  private static RealMatrix zeros(int rows, int columns) {
    return MatrixUtils.createRealMatrix(rows, columns);
  }
}
