package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.hipparchus.linear.Array2DRowRealMatrix;
import org.hipparchus.linear.CholeskyDecomposition;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.RealMatrix;
import org.prunepeft.search.measured.Terms.ModulePair;

/**
 * Finds the variances of a {@link MetricModel} and the pairs that it holds, by evidence: the
 * density of the means that were measured, with all weights integrated out.
 */
final class MetricFit {
  /** Fewer modules of a type than these say nothing about their variance. */
  private static final int MIN_OF_A_TYPE = 4;

  private static final double FLAT = 1e3;
  private static final double FLOOR = 1e-5;
  private static final double[] COARSE_TO_FINE = {16, 4, 2, 1.4};
  private static final double[] FINE = {2, 1.4};
  private static final double[] AGAIN = {1.5};
  private static final double SMOOTHNESS = 0.7;

  /**
   * The power of a deviation in its prior. From few modules evidence often finds a variance of
   * zero, which would leave intervals too narrow (Chung and others, 2013).
   */
  private static final double AWAY_FROM_ZERO = 1;

  private static final int MIN_LAYERS_TO_BE_SMOOTH = 4;

  /**
   * Variances of the priors.
   *
   * @param values of the modules' values, by group
   * @param smooth the share of it that neighbouring layers have in common
   * @param misfit of f
   */
  record Variances(double[] values, double smooth, double misfit) {
    Variances scaled(double factor) {
      return new Variances(
          Arrays.stream(values).map(value -> value * factor).toArray(), smooth, misfit);
    }

    double get(int at) {
      return at == 0 ? misfit : values[at - 1];
    }

    Variances with(int at, double value) {
      if (at == 0) {
        return new Variances(values, smooth, value);
      }
      double[] changed = values.clone();
      changed[at - 1] = value;
      return new Variances(changed, smooth, misfit);
    }
  }

  private final Pool pool;
  private final Archive archive;
  private final ValueTable values;
  private final int[] rows;
  private final Terms terms;
  private final int[][] groups;
  private final double level;

  /** The subsets' means less their own mean, by row, in the basis, and the square of the rest. */
  private final double[] means;

  /** The covariance over examples of the subsets' means. */
  private final double[][] sample;

  private final Basis basis;
  private double[] projected;
  private double outside;

  /** The variance between the subsets' means, in which all other variances are thought. */
  private final double unit;

  private final double[] flat;
  private final double[] spread;
  private double[] exampleEffects;
  private double exampleRemainder;
  private final List<double[]> extra = new ArrayList<>();
  private final List<Double> extraVariances = new ArrayList<>();
  private final List<Double> pairEvidence = new ArrayList<>();

  /** By group, products of the columns with themselves: alone, and with neighbours. */
  private List<double[][]> alone;

  private List<double[][]> neighbours;

  /** By group, the sum of its columns. */
  private List<double[]> together;

  private double[][] summed;
  private List<double[]> extraProjected;

  private Variances variances;
  private RealMatrix design;

  /** Fits the values of some rows of the archive, which rise. */
  static MetricFit first(Pool pool, Archive archive, ValueTable values, int[] rows, int pairs) {
    MetricFit fit = new MetricFit(pool, archive, values, rows);
    fit.project();
    fit.variances = fit.bestVariances();
    fit.addPairs(pairs);
    return fit;
  }

  /** Fits more subsets, with the pairs of another fit, and beginning with its variances. */
  static MetricFit again(MetricFit before, int[] rows) {
    MetricFit fit = new MetricFit(before.pool, before.archive, before.values, rows);
    for (int i = 0; i < before.terms.pairs().size(); i++) {
      fit.add(
          before.terms.pairs().get(i), before.extraVariances.get(i), before.pairEvidence.get(i));
    }
    if (before.terms.curved()) {
      fit.addCurve(before.extraVariances.get(before.extraVariances.size() - 1));
    }
    fit.project();
    fit.variances = fit.climb(before.variances, AGAIN);
    return fit;
  }

  Pool pool() {
    return pool;
  }

  private MetricFit(Pool pool, Archive archive, ValueTable values, int[] rows) {
    this.pool = pool;
    this.archive = archive;
    this.values = values;
    this.rows = rows;
    int count = rows.length;
    terms = new Terms(pool, Arrays.stream(rows).mapToObj(archive::subset).toList());
    groups = groups(pool);
    level = Arrays.stream(rows).mapToDouble(values::mean).average().orElseThrow();
    means = Arrays.stream(rows).mapToDouble(row -> values.mean(row) - level).toArray();
    unit = Math.max(1e-18, Statistics.dot(means, means) / (count - 1));
    sample = new double[count][count];
    for (int s = 0; s < count; s++) {
      for (int t = 0; t < count; t++) {
        sample[s][t] = values.covariance(rows[s], rows[t]) / values.examples();
      }
    }
    basis = new Basis(count);
    double[][] modules = new double[pool.count()][count];
    for (int s = 0; s < count; s++) {
      double[] of = terms.of(archive.subset(rows[s]));
      for (int i = 0; i < modules.length; i++) {
        modules[i][s] = of[i];
      }
    }
    for (double[] column : modules) {
      basis.add(column);
    }
    flat = new double[groups.length];
    spread = new double[groups.length];
    for (int group = 0; group < groups.length; group++) {
      double[] sum = new double[count];
      for (int number : groups[group]) {
        spread[group] += Statistics.dot(modules[number], modules[number]) / (count - 1);
        for (int s = 0; s < count; s++) {
          sum[s] += modules[number][s];
        }
      }
      spread[group] = Math.max(spread[group], 1e-9);
      flat[group] = FLAT * unit / Math.max(Statistics.dot(sum, sum) / (count - 1), 1e-9);
    }
  }

  /** Modules by type; types with few modules are one group. */
  private static int[][] groups(Pool pool) {
    Map<Integer, List<Integer>> groups = new TreeMap<>();
    for (int i = 0; i < pool.count(); i++) {
      int type = pool.type(i);
      long alike =
          IntStream.range(0, pool.count()).filter(other -> pool.type(other) == type).count();
      groups.computeIfAbsent(alike < MIN_OF_A_TYPE ? -1 : type, any -> new ArrayList<>()).add(i);
    }
    return groups.values().stream()
        .map(members -> members.stream().mapToInt(Integer::intValue).toArray())
        .toArray(int[][]::new);
  }

  /** Falls off with the distance of layers, over a sixth of the depth. */
  private double likeness(int one, int other) {
    double reach = Math.max(1, pool.space().layers() / 6.0);
    return Math.exp(-Math.abs(pool.layer(one) - pool.layer(other)) / reach);
  }

  /** Brings everything into the basis. */
  private void project() {
    projected = basis.project(means);
    outside = Math.max(0, Statistics.dot(means, means) - Statistics.dot(projected, projected));
    design = projectedTerms();
    alone = new ArrayList<>();
    neighbours = new ArrayList<>();
    together = new ArrayList<>();
    summed = new double[basis.size()][basis.size()];
    for (int group = 0; group < groups.length; group++) {
      int[] members = groups[group];
      RealMatrix own = columns(members);
      double[][] likeness = new double[members.length][members.length];
      double[] ones = new double[members.length];
      for (int i = 0; i < members.length; i++) {
        ones[i] = 1;
        for (int j = 0; j < members.length; j++) {
          likeness[i][j] = likeness(members[i], members[j]);
        }
      }
      alone.add(own.multiplyTransposed(own).getData());
      neighbours.add(own.multiply(matrix(likeness)).multiplyTransposed(own).getData());
      double[] sum = own.operate(ones);
      together.add(sum);
      for (int a = 0; a < sum.length; a++) {
        for (int b = 0; b < sum.length; b++) {
          summed[a][b] += flat[group] * sum[a] * sum[b];
        }
      }
    }
    extraProjected = extra.stream().map(basis::project).toList();
    setExampleVariances();
  }

  /** [terms of the basis][terms] of the subsets that are fitted. */
  private RealMatrix projectedTerms() {
    int count = terms.count();
    double[][] byTerm = new double[count][rows.length];
    for (int s = 0; s < rows.length; s++) {
      double[] of = terms.of(archive.subset(rows[s]));
      for (int i = 0; i < count; i++) {
        byTerm[i][s] = of[i];
      }
    }
    double[][] projections = new double[count][];
    for (int i = 0; i < count; i++) {
      projections[i] = basis.project(byTerm[i]);
    }
    return matrix(projections).transpose();
  }

  private RealMatrix columns(int[] members) {
    double[][] own = new double[basis.size()][members.length];
    for (int a = 0; a < own.length; a++) {
      for (int i = 0; i < members.length; i++) {
        own[a][i] = design.getEntry(a, members[i]);
      }
    }
    return matrix(own);
  }

  /** The covariance over examples of some weighted sums of the fitted subsets' means. */
  double[][] sampled(List<double[]> sums) {
    int count = rows.length;
    double[][] half = new double[sums.size()][count];
    for (int s = 0; s < count; s++) {
      double[] row = sample[s];
      for (int a = 0; a < half.length; a++) {
        half[a][s] = Statistics.dot(row, sums.get(a));
      }
    }
    double[][] covariance = new double[half.length][half.length];
    for (int a = 0; a < half.length; a++) {
      for (int b = 0; b < half.length; b++) {
        covariance[a][b] = Statistics.dot(half[a], sums.get(b));
      }
    }
    return covariance;
  }

  double[][] sampledInBasis() {
    return sampled(IntStream.range(0, basis.size()).mapToObj(basis::column).toList());
  }

  /** The sum of the subsets' variances over examples, less that of their common mean. */
  private double sampledTrace() {
    int count = rows.length;
    double trace = 0;
    double all = 0;
    for (int s = 0; s < count; s++) {
      trace += sample[s][s];
      all += Arrays.stream(sample[s]).sum();
    }
    return trace - all / count;
  }

  /**
   * What the covariance over examples is made of, by moments: for each group the variance of a
   * module's effect, for each group that of all its modules alike, and a remainder.
   */
  private void setExampleVariances() {
    double[][] sampled = sampledInBasis();
    List<double[][]> parts = new ArrayList<>(alone);
    for (double[] sum : together) {
      double[][] product = new double[sum.length][sum.length];
      for (int a = 0; a < sum.length; a++) {
        for (int b = 0; b < sum.length; b++) {
          product[a][b] = sum[a] * sum[b];
        }
      }
      parts.add(product);
    }
    int count = parts.size();
    double[][] products = new double[count + 1][count + 1];
    double[] target = new double[count + 1];
    for (int i = 0; i < count; i++) {
      for (int a = 0; a < basis.size(); a++) {
        target[i] += Statistics.dot(parts.get(i)[a], sampled[a]);
        products[i][count] += parts.get(i)[a][a];
        for (int j = 0; j < count; j++) {
          products[i][j] += Statistics.dot(parts.get(i)[a], parts.get(j)[a]);
        }
      }
      products[count][i] = products[i][count];
    }
    products[count][count] = rows.length - 1.0;
    target[count] = sampledTrace();
    double[] solved = NonNegative.solve(products, target);
    exampleEffects = Arrays.copyOf(solved, groups.length);
    exampleRemainder = solved[count];
  }

  private double[][] kernel(Variances at) {
    int count = basis.size();
    double[][] kernel = new double[count][];
    for (int a = 0; a < count; a++) {
      double[] row = summed[a].clone();
      for (int group = 0; group < groups.length; group++) {
        double own = at.values[group] * (1 - at.smooth) + exampleEffects[group];
        double shared = at.values[group] * at.smooth;
        double[] one = alone.get(group)[a];
        double[] other = neighbours.get(group)[a];
        for (int b = 0; b <= a; b++) {
          row[b] += own * one[b] + shared * other[b];
        }
      }
      for (int k = 0; k < extraProjected.size(); k++) {
        double[] column = extraProjected.get(k);
        double factor = extraVariances.get(k) * column[a];
        for (int b = 0; b <= a; b++) {
          row[b] += factor * column[b];
        }
      }
      row[a] += noise(at);
      kernel[a] = row;
      // Symmetric to the bit, which the decomposition asks for.
      for (int b = 0; b < a; b++) {
        kernel[b][a] = row[b];
      }
    }
    return kernel;
  }

  double noise(Variances at) {
    return at.misfit + exampleRemainder;
  }

  CholeskyDecomposition decomposed(Variances at) {
    return new CholeskyDecomposition(new Array2DRowRealMatrix(kernel(at), false), 1e-6, 0);
  }

  private double evidence(Variances at) {
    return evidence(at, decomposed(at));
  }

  double evidence(Variances at, CholeskyDecomposition decomposition) {
    RealMatrix factor = decomposition.getLT();
    int outer = rows.length - 1 - basis.size();
    double logDeterminant = outer * Math.log(noise(at));
    for (int a = 0; a < basis.size(); a++) {
      logDeterminant += 2 * Math.log(factor.getEntry(a, a));
    }
    double[] solved =
        decomposition.getSolver().solve(MatrixUtils.createRealVector(projected)).toArray();
    double hyperprior = 0;
    for (double value : at.values) {
      hyperprior += AWAY_FROM_ZERO * 0.5 * Math.log(value);
    }
    return hyperprior
        - 0.5 * (logDeterminant + Statistics.dot(projected, solved) + outside / noise(at));
  }

  private Variances bestVariances() {
    double[] start = new double[groups.length];
    for (int group = 0; group < start.length; group++) {
      start[group] = 0.5 / start.length * unit / spread[group];
    }
    Variances best = climb(new Variances(start, 0, 0.1 * unit), COARSE_TO_FINE);
    if (pool.space().layers() < MIN_LAYERS_TO_BE_SMOOTH) {
      return best;
    }
    Variances smooth = climb(new Variances(best.values, SMOOTHNESS, best.misfit), FINE);
    return evidence(smooth) > evidence(best) ? smooth : best;
  }

  private Variances climb(Variances start, double[] steps) {
    Variances best = start;
    double bestEvidence = evidence(best);
    for (double step : steps) {
      boolean moved = true;
      for (int sweep = 0; moved && sweep < 4; sweep++) {
        moved = false;
        for (int at = 0; at <= groups.length; at++) {
          double scale = at == 0 ? unit : unit / spread[at - 1];
          for (double factor : new double[] {step, 1 / step}) {
            double value = best.get(at) * factor;
            if (value < FLOOR * scale || value > 10 * scale) {
              continue;
            }
            Variances next = best.with(at, value);
            double evidence = evidence(next);
            if (evidence > bestEvidence + 1e-3) {
              bestEvidence = evidence;
              best = next;
              moved = true;
              break;
            }
          }
        }
      }
    }
    return best;
  }

  private void addPairs(int most) {
    double price = 0.5 * Math.log(rows.length);
    boolean changed = false;
    TermGains gains = new TermGains(this);
    double[] curve = terms.centredCurve();
    TermGains.Gain curveGain = gains.of(curve);
    // Before the pairs, so that these do not stand in for what size alone explains.
    if (curveGain.evidence() > price) {
      addCurve(curveGain.variance());
      changed = true;
    }
    List<ModulePair> candidates = most > 0 ? TermGains.pairs(pool) : List.of();
    price += Math.log(Math.max(1, candidates.size()));
    for (int round = 0; round < most; round++) {
      if (changed) {
        project();
        gains = new TermGains(this);
      }
      ModulePair best = null;
      TermGains.Gain bestGain = new TermGains.Gain(price, 0);
      for (ModulePair pair : candidates) {
        TermGains.Gain gain = gains.of(terms.centred(pair));
        if (gain.evidence() > bestGain.evidence() && !terms.pairs().contains(pair)) {
          bestGain = gain;
          best = pair;
        }
      }
      changed = best != null;
      if (best == null) {
        break;
      }
      add(best, bestGain.variance(), bestGain.evidence() - price);
    }
    if (!extra.isEmpty()) {
      project();
      variances = climb(variances, FINE);
    }
  }

  private void add(ModulePair pair, double variance, double evidence) {
    int at = terms.pairs().size();
    double[] column = terms.centred(pair);
    basis.add(column);
    extra.add(at, column);
    extraVariances.add(at, variance);
    pairEvidence.add(evidence);
    terms.add(pair);
  }

  private void addCurve(double variance) {
    double[] column = terms.centredCurve();
    basis.add(column);
    extra.add(column);
    extraVariances.add(variance);
    terms.addCurve();
  }

  RealMatrix prior(Variances at) {
    int count = terms.count();
    double[][] variance = new double[count][count];
    for (int group = 0; group < groups.length; group++) {
      for (int i : groups[group]) {
        for (int j : groups[group]) {
          variance[i][j] = flat[group] + at.values[group] * at.smooth * likeness(i, j);
        }
        variance[i][i] += at.values[group] * (1 - at.smooth);
      }
    }
    for (int k = 0; k < extra.size(); k++) {
      variance[pool.count() + k][pool.count() + k] = extraVariances.get(k);
    }
    return matrix(variance);
  }

  Archive archive() {
    return archive;
  }

  ValueTable values() {
    return values;
  }

  int[] rows() {
    return rows;
  }

  Terms terms() {
    return terms;
  }

  Basis basis() {
    return basis;
  }

  /** The mean over the subsets. */
  double level() {
    return level;
  }

  /** The subsets' means less the level. */
  double[] means() {
    return means;
  }

  /** The same in the basis. */
  double[] projected() {
    return projected;
  }

  /** [coordinates of the basis][terms]. */
  RealMatrix design() {
    return design;
  }

  Variances variances() {
    return variances;
  }

  double pairEvidence(int pair) {
    return pairEvidence.get(pair);
  }

  static RealMatrix matrix(double[][] data) {
    return MatrixUtils.createRealMatrix(data);
  }
}
