package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.List;
import org.hipparchus.linear.RealMatrix;
import org.prunepeft.search.measured.Terms.ModulePair;

/** What more terms would bring to a fit: with the covariance of its means, inverted once. */
final class TermGains {
  /** Of more modules only pairs of neighbouring layers are looked at. */
  private static final int ALL_PAIRS_UP_TO = 60;

  private final Basis basis;
  private final RealMatrix inverse;

  /** The inverse times the means, in the basis, and what lies outside of it. */
  private final double[] solved;

  private final double[] residual;
  private final double noise;

  /**
   * What a term would add.
   *
   * @param evidence half the squared z of its weight
   * @param variance the square of that weight
   */
  record Gain(double evidence, double variance) {}

  TermGains(MetricFit fit) {
    basis = fit.basis();
    inverse = fit.decomposed(fit.variances()).getSolver().getInverse();
    solved = inverse.operate(fit.projected());
    residual = basis.residual(fit.means());
    noise = fit.noise(fit.variances());
  }

  /** Of a term by its column, a value for each subset. */
  Gain of(double[] column) {
    double[] inside = basis.project(column);
    double beyond = Statistics.dot(column, column) - Statistics.dot(inside, inside);
    double precision =
        Statistics.dot(inside, inverse.operate(inside)) + Math.max(0, beyond) / noise;
    if (!(precision > 0)) {
      return new Gain(0, 0);
    }
    double projection = Statistics.dot(inside, solved) + Statistics.dot(residual, column) / noise;
    double weight = projection / precision;
    return new Gain(0.5 * projection * weight, weight * weight);
  }

  /** The pairs of modules that may be terms. */
  static List<ModulePair> pairs(Pool pool) {
    List<ModulePair> pairs = new ArrayList<>();
    boolean all = pool.count() <= ALL_PAIRS_UP_TO;
    for (int i = 0; i < pool.count(); i++) {
      for (int j = i + 1; j < pool.count(); j++) {
        if (all || Math.abs(pool.layer(i) - pool.layer(j)) <= 1) {
          pairs.add(new ModulePair(i, j));
        }
      }
    }
    return pairs;
  }
}
