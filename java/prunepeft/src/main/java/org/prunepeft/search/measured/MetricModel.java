package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.hipparchus.linear.Array2DRowRealMatrix;
import org.hipparchus.linear.CholeskyDecomposition;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.RealMatrix;
import org.prunepeft.search.measured.Terms.Pair;

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
  /** Fewer modules of a type than these tell nothing of their variance. */
  private static final int MIN_OF_A_TYPE = 4;

  private static final double FLAT = 1e3;
  private static final double FLOOR = 1e-5;
  private static final double[] COARSE_TO_FINE = {16, 4, 2, 1.4};
  private static final double[] FINE = {2, 1.4};
  private static final double[] AGAIN = {1.5};
  private static final double[] SCALES = {1 / 9.0, 1 / 3.0, 1, 3, 9};
  private static final double SMOOTHNESS = 0.7;

  /**
   * The power of a deviation in its prior. From few modules evidence often finds a variance of
   * zero, which would leave intervals too narrow (Chung and others, 2013).
   */
  private static final double AWAY_FROM_ZERO = 1;

  private static final double LEAST_SHARE = 0.02;
  private static final int MIN_LAYERS_TO_BE_SMOOTH = 4;
  private static final int ALL_PAIRS_UP_TO = 60;

  /**
   * Variances of the priors.
   *
   * @param values of the modules' values, by group
   * @param smooth the share of it that neighbouring layers have in common
   * @param misfit of f
   */
  private record Variances(double[] values, double smooth, double misfit) {
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
  private double[][] summed;
  private List<double[]> extraProjected;

  private Variances variances;
  private double[] weights;
  private RealMatrix prior;
  private RealMatrix covariance;
  private RealMatrix estimator;
  private RealMatrix design;
  private RealMatrix inverse;
  private double[] misfit;
  private double[] intrinsic;
  private double freedom;
  private RealMatrix root;

  /** Fits the subsets of some rows of the archive, which rise. */
  static MetricModel fit(Pool pool, Archive archive, int[] rows, int pairs) {
    MetricModel model = new MetricModel(pool, archive, rows);
    model.project();
    model.variances = model.bestVariances();
    model.addPairs(pairs);
    model.conclude();
    return model;
  }

  /** Fits more subsets, with the pairs of another fit, and beginning with its variances. */
  static MetricModel refit(MetricModel before, int[] rows) {
    MetricModel model = new MetricModel(before.pool, before.archive, rows);
    for (int i = 0; i < before.terms.pairs().size(); i++) {
      model.add(
          before.terms.pairs().get(i), before.extraVariances.get(i), before.pairEvidence.get(i));
    }
    if (before.terms.curved()) {
      model.addCurve(before.extraVariances.get(before.extraVariances.size() - 1));
    }
    model.project();
    model.variances = model.climb(before.variances, AGAIN);
    model.conclude();
    return model;
  }

  private MetricModel(Pool pool, Archive archive, int[] rows) {
    this.pool = pool;
    this.archive = archive;
    this.rows = rows;
    int count = rows.length;
    terms = new Terms(pool, Arrays.stream(rows).mapToObj(archive::subset).toList());
    groups = groups(pool);
    level = Arrays.stream(rows).mapToDouble(archive::mean).average().orElseThrow();
    means = Arrays.stream(rows).mapToDouble(row -> archive.mean(row) - level).toArray();
    unit = Math.max(1e-18, Statistics.dot(means, means) / (count - 1));
    sample = new double[count][count];
    for (int s = 0; s < count; s++) {
      for (int t = 0; t < count; t++) {
        sample[s][t] = archive.covariance(rows[s], rows[t]) / archive.searchExamples();
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
    design = design();
    alone = new ArrayList<>();
    neighbours = new ArrayList<>();
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
  private RealMatrix design() {
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
  private double[][] sampled(List<double[]> sums) {
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

  private double[][] sampledInBasis() {
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
    for (int[] members : groups) {
      double[] ones = new double[members.length];
      Arrays.fill(ones, 1);
      double[] sum = columns(members).operate(ones);
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
        for (int b = 0; b < count; b++) {
          row[b] += own * one[b] + shared * other[b];
        }
      }
      for (int k = 0; k < extraProjected.size(); k++) {
        double[] column = extraProjected.get(k);
        double factor = extraVariances.get(k) * column[a];
        for (int b = 0; b < count; b++) {
          row[b] += factor * column[b];
        }
      }
      row[a] += noise(at);
      kernel[a] = row;
    }
    return kernel;
  }

  private double noise(Variances at) {
    return at.misfit + exampleRemainder;
  }

  private CholeskyDecomposition decomposed(Variances at) {
    return new CholeskyDecomposition(new Array2DRowRealMatrix(kernel(at), false), 1e-6, 0);
  }

  private double evidence(Variances at) {
    return evidence(at, decomposed(at));
  }

  private double evidence(Variances at, CholeskyDecomposition decomposition) {
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
    Covariance at = new Covariance(variances);
    double[] curve = terms.centredCurve();
    Gain curveGain = at.gain(curve);
    // Before the pairs, so that these do not stand in for what size alone explains.
    if (curveGain.evidence > price) {
      addCurve(curveGain.variance);
      changed = true;
    }
    List<Pair> candidates = most > 0 ? candidates() : List.of();
    price += Math.log(Math.max(1, candidates.size()));
    for (int round = 0; round < most; round++) {
      if (changed) {
        project();
        at = new Covariance(variances);
      }
      Pair best = null;
      Gain bestGain = new Gain(price, 0);
      for (Pair pair : candidates) {
        Gain gain = at.gain(terms.centred(pair));
        if (gain.evidence > bestGain.evidence && !terms.pairs().contains(pair)) {
          bestGain = gain;
          best = pair;
        }
      }
      changed = best != null;
      if (best == null) {
        break;
      }
      add(best, bestGain.variance, bestGain.evidence - price);
    }
    if (!extra.isEmpty()) {
      project();
      variances = climb(variances, FINE);
    }
  }

  /**
   * What a term would add.
   *
   * @param evidence half the squared z of its weight
   * @param variance the square of that weight
   */
  private record Gain(double evidence, double variance) {}

  /** The inverse of the covariance of the means, and that times the means. */
  private final class Covariance {
    private final RealMatrix inverse;
    private final double[] solved;
    private final double noise;
    private final double[] residual;

    Covariance(Variances at) {
      inverse = decomposed(at).getSolver().getInverse();
      solved = inverse.operate(projected);
      noise = noise(at);
      residual = basis.residual(means);
    }

    Gain gain(double[] column) {
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
  }

  private List<Pair> candidates() {
    List<Pair> candidates = new ArrayList<>();
    boolean all = pool.count() <= ALL_PAIRS_UP_TO;
    for (int i = 0; i < pool.count(); i++) {
      for (int j = i + 1; j < pool.count(); j++) {
        if (all || Math.abs(pool.layer(i) - pool.layer(j)) <= 1) {
          candidates.add(new Pair(i, j));
        }
      }
    }
    return candidates;
  }

  private void add(Pair pair, double variance, double evidence) {
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

  private RealMatrix prior(Variances at) {
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

  /** Averages over the scales of the modules' variances, by their evidence. */
  private void conclude() {
    int count = terms.count();
    double[] evidences = new double[SCALES.length];
    CholeskyDecomposition[] decompositions = new CholeskyDecomposition[SCALES.length];
    for (int g = 0; g < SCALES.length; g++) {
      Variances scaled = variances.scaled(SCALES[g]);
      decompositions[g] = decomposed(scaled);
      evidences[g] = evidence(scaled, decompositions[g]);
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
      RealMatrix own = prior(variances.scaled(SCALES[g]));
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
                    + variances.misfit * Statistics.dot(row, row));
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
    double[] residual = basis.residual(means);
    for (int s = 0; s < misfit.length; s++) {
      misfit[s] = variances.misfit * (misfit[s] + residual[s] / noise(variances));
    }
  }

  /** What each term weighs: modules, pairs, curve. */
  List<Estimate> estimates() {
    RealMatrix spreads = estimator.multiply(matrix(sampledInBasis()));
    double examples = archive.searchExamples() - 1.0;
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

  List<Pair> pairs() {
    return terms.pairs();
  }

  double pairEvidence(int pair) {
    return pairEvidence.get(pair);
  }

  /** The share of the variance between subsets, noise apart, that the terms explain. */
  double explained() {
    double[] fitted = design.operate(weights);
    double explained = Statistics.dot(fitted, fitted) / (rows.length - 1);
    return explained / (explained + variances.misfit);
  }

  /** The expected metric of a subset. */
  double predict(BitSet subset) {
    int at = fitted(subset);
    return level + Statistics.dot(terms.of(subset), weights) + (at < 0 ? 0 : misfit[at]);
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
        in[a] += variances.misfit * own[a];
      }
      contributions = basis.expand(in);
      double[] residual = basis.residual(unitRow);
      for (int s = 0; s < contributions.length; s++) {
        contributions[s] += variances.misfit / noise(variances) * residual[s];
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
    return error(sum, target, own, unfitted) + sampled(List.of(sum))[0][0];
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
   * @param some fewer of it, which were fitted
   */
  Statistics.Shift shift(List<BitSet> all, List<BitSet> some) {
    double[] target = meanTerms(all);
    double[] less = meanTerms(some);
    for (int i = 0; i < target.length; i++) {
      target[i] -= less[i];
    }
    double[] sum = basis.expand(estimator.preMultiply(target));
    double variance =
        error(sum, target, new double[rows.length], 0)
            + sampled(List.of(sum))[0][0]
            + variances.misfit / some.size();
    return new Statistics.Shift(
        Statistics.dot(target, weights), variance, Math.max(3, Math.min(freedom, some.size() - 1)));
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
    return Math.max(0, Statistics.dot(off, prior.operate(off))) + variances.misfit * squares;
  }

  /** The variance over examples of the level and a sum of means, less a measured subset if any. */
  private double varianceOfSample(double[] sum, int lessRow) {
    double[] whole = Arrays.stream(sum).map(part -> part + 1.0 / rows.length).toArray();
    double variance = sampled(List.of(whole))[0][0];
    if (lessRow >= 0) {
      double examples = archive.searchExamples();
      for (int s = 0; s < rows.length; s++) {
        variance -= 2 * whole[s] * archive.covariance(rows[s], lessRow) / examples;
      }
      variance += archive.covariance(lessRow, lessRow) / examples;
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
        } catch (org.hipparchus.exception.MathIllegalArgumentException notPositive) {
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

  private static RealMatrix matrix(double[][] data) {
    return MatrixUtils.createRealMatrix(data);
  }

  private static RealMatrix zeros(int rows, int columns) {
    return MatrixUtils.createRealMatrix(rows, columns);
  }
}
