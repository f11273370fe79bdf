package org.prunepeft.train.head;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

/**
 * Fits a head on pooled outputs of the frozen encoder, before any module is trained: modules that
 * are judged while the head is still learning are judged by how they stand in for it.
 *
 * <p>It is logistic regression, or ridge regression for numbers: convex, solved by L-BFGS in
 * float64 on standardised features. The penalty is the one with the lowest loss on held-out
 * examples, so that the loss on the training examples is not driven to nothing, which would leave
 * the modules no gradient.
 */
public final class HeadFit {
  /** More examples than these hardly change a linear layer; they bound time and memory. */
  private static final int MOST_EXAMPLES = 20_000;

  private static final int FOLDS = 5;

  /** Of the penalty, from the strongest: 10 to 1e-5 in half decades. */
  private static final double[] STRENGTHS =
      IntStream.range(0, 13).mapToDouble(i -> StrictMath.pow(10, 1 - i / 2.0)).toArray();

  /** Where there is nothing to choose it by. */
  private static final double USUAL_STRENGTH = 0.1;

  /** So many weaker penalties in turn that lose on held-out examples end the search. */
  private static final int PATIENCE = 2;

  private static final double ROUGH = 1e-4;
  private static final double EXACT = 1e-6;
  private static final int MOST_ITERATIONS = 1000;

  /** A feature that varies by less, relative to its mean, is constant: the rest is rounding. */
  private static final double LEAST_DEVIATION = 1e-5;

  private HeadFit() {}

  /**
   * Examples as a head sees them.
   *
   * @param pooled [n · hidden]
   * @param targets [n]
   */
  public record Examples(float[] pooled, double[] targets) {}

  /** What is fitted on, and what it is judged on. */
  private record Split(PenalisedLoss train, PenalisedLoss heldOut) {}

  /**
   * @param train 1 or more
   * @param validation the penalty is chosen by it; none: by folds of the training examples
   * @param device where the head is to lie: the encoder's
   * @param labelSmoothing share of each class that is spread evenly over all, in [0, 1)
   * @param seed of the folds
   * @return the caller's
   */
  public static Head fit(
      Examples train,
      Examples validation,
      Schema schema,
      ComputeDevice device,
      double labelSmoothing,
      long seed) {
    Examples used = atMost(train, seed);
    Head head = new Head(schema, used.pooled.length / used.targets.length, device);
    head.standardise(train.targets);
    Standard standard = Standard.of(used);
    try (PointerScope scope = new PointerScope()) {
      double smoothing = smoothing(used.targets, schema, labelSmoothing);
      PenalisedLoss straight = loss(used, head, standard, smoothing);
      Tensor axes = straight.axes();
      PenalisedLoss all = straight.along(axes);
      List<Split> splits =
          validation.targets.length > 0
              ? List.of(new Split(all, loss(validation, head, standard, smoothing).along(axes)))
              : folds(used, all, seed);
      standard.write(head, all.back(fit(all, splits), axes));
    }
    return head;
  }

  /** Weight and bias with the penalty that is best on what is held out. */
  private static double[] fit(PenalisedLoss all, List<Split> splits) {
    double[][] weights = new double[splits.size()][all.size()];
    double best = Double.POSITIVE_INFINITY;
    double[] start = new double[all.size()];
    double chosen = USUAL_STRENGTH;
    int worse = 0;
    for (int s = 0; s < STRENGTHS.length && worse < PATIENCE && !splits.isEmpty(); s++) {
      double sum = 0;
      for (int i = 0; i < weights.length; i++) {
        Split split = splits.get(i);
        weights[i] = minimise(split.train.with(STRENGTHS[s]), weights[i], ROUGH).x();
        sum += split.heldOut.unpenalised(weights[i]);
      }
      worse = sum < best ? 0 : worse + 1;
      if (worse == 0) {
        best = sum;
        chosen = STRENGTHS[s];
        start = weights[0];
      }
    }
    return minimise(all.with(chosen), start, EXACT).x();
  }

  /**
   * In coordinates in which the curvature is about 1 everywhere: pooled outputs have few directions
   * of large variance and many of little, which would cost hundreds of iterations.
   *
   * @param tolerance of each element of the gradient by the weights
   */
  static Lbfgs.Result minimise(PenalisedLoss loss, double[] start, double tolerance) {
    double[] scales = loss.scales();
    double[] scaled = new double[start.length];
    double largest = 1;
    for (int i = 0; i < start.length; i++) {
      scaled[i] = start[i] * scales[i];
      largest = Math.max(largest, scales[i]);
    }
    Lbfgs.Result result =
        Lbfgs.minimise(
            (x, gradient) -> {
              double value = loss.at(divided(x, scales), gradient);
              System.arraycopy(divided(gradient, scales), 0, gradient, 0, gradient.length);
              return value;
            },
            scaled,
            tolerance / largest,
            MOST_ITERATIONS);
    return new Lbfgs.Result(
        divided(result.x(), scales),
        result.value(),
        result.gradient() * largest,
        result.evaluations());
  }

  private static double[] divided(double[] values, double[] by) {
    double[] quotients = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      quotients[i] = values[i] / by[i];
    }
    return quotients;
  }

  /**
   * A class without an example would get a bias without bounds; one example's worth of labels,
   * spread over all classes, bounds it.
   */
  private static double smoothing(double[] targets, Schema schema, double labelSmoothing) {
    boolean all =
        schema.kind() != TaskKind.CLASSIFICATION
            || Arrays.stream(targets).distinct().count() == schema.outputs();
    return all ? labelSmoothing : Math.max(labelSmoothing, 1.0 / (targets.length + 1));
  }

  private static PenalisedLoss loss(
      Examples examples, Head head, Standard standard, double smoothing) {
    int n = examples.targets.length;
    int outputs = head.schema().outputs();
    boolean classes = head.schema().kind() == TaskKind.CLASSIFICATION;
    double[] targets = new double[n * outputs];
    for (int i = 0; i < n; i++) {
      if (classes) {
        Arrays.fill(targets, i * outputs, (i + 1) * outputs, smoothing / outputs);
        targets[i * outputs + (int) examples.targets[i]] += 1 - smoothing;
      } else {
        targets[i] = head.standard(examples.targets[i]);
      }
    }
    return new PenalisedLoss(
        standard.features(examples), Tensor.create(targets, n, outputs), classes, 0);
  }

  /** Each has a share of each class, or of each range of numbers. */
  private static List<Split> folds(Examples examples, PenalisedLoss all, long seed) {
    int[] order = order(examples.targets, seed);
    int folds = Math.min(FOLDS, order.length);
    List<Split> splits = new ArrayList<>();
    for (int fold = 0; folds > 1 && fold < folds; fold++) {
      int own = fold;
      long[] in =
          IntStream.range(0, order.length)
              .filter(i -> i % folds != own)
              .mapToLong(i -> order[i])
              .toArray();
      long[] out =
          IntStream.range(0, order.length)
              .filter(i -> i % folds == own)
              .mapToLong(i -> order[i])
              .toArray();
      splits.add(new Split(rows(all, in), rows(all, out)));
    }
    return splits;
  }

  private static PenalisedLoss rows(PenalisedLoss all, long[] rows) {
    Tensor index = Torch.longs(rows, rows.length);
    return new PenalisedLoss(
        all.features().index_select(0, index),
        all.targets().index_select(0, index),
        all.classes(),
        0);
  }

  /** Examples by their targets, equal ones in random order. */
  private static int[] order(double[] targets, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    double[] keys = random.doubles(targets.length).toArray();
    return IntStream.range(0, targets.length)
        .boxed()
        .sorted(
            Comparator.comparingDouble((Integer i) -> targets[i]).thenComparingDouble(i -> keys[i]))
        .mapToInt(Integer::intValue)
        .toArray();
  }

  /** All, or so many of them with the same distribution of targets. */
  private static Examples atMost(Examples all, long seed) {
    int n = all.targets.length;
    if (n <= MOST_EXAMPLES) {
      return all;
    }
    int[] order = order(all.targets, seed);
    int hidden = all.pooled.length / n;
    float[] pooled = new float[MOST_EXAMPLES * hidden];
    double[] targets = new double[MOST_EXAMPLES];
    for (int i = 0; i < MOST_EXAMPLES; i++) {
      int from = order[(int) ((long) i * n / MOST_EXAMPLES)];
      targets[i] = all.targets[from];
      System.arraycopy(all.pooled, from * hidden, pooled, i * hidden, hidden);
    }
    return new Examples(pooled, targets);
  }

  /** Mean and standard deviation of each feature; the deviation of a constant one is infinite. */
  private record Standard(double[] mean, double[] deviation) {
    static Standard of(Examples examples) {
      int n = examples.targets.length;
      int hidden = examples.pooled.length / n;
      double[] mean = new double[hidden];
      double[] deviation = new double[hidden];
      for (int i = 0; i < examples.pooled.length; i++) {
        mean[i % hidden] += examples.pooled[i] / (double) n;
      }
      for (int i = 0; i < examples.pooled.length; i++) {
        double difference = examples.pooled[i] - mean[i % hidden];
        deviation[i % hidden] += difference * difference / n;
      }
      for (int j = 0; j < hidden; j++) {
        double root = Math.sqrt(deviation[j]);
        deviation[j] = root > LEAST_DEVIATION * Math.abs(mean[j]) ? root : Double.POSITIVE_INFINITY;
      }
      return new Standard(mean, deviation);
    }

    Tensor features(Examples examples) {
      int hidden = mean.length;
      double[] features = new double[examples.pooled.length];
      for (int i = 0; i < features.length; i++) {
        features[i] = (examples.pooled[i] - mean[i % hidden]) / deviation[i % hidden];
      }
      return Tensor.create(features, examples.targets.length, hidden);
    }

    /** Into a head that takes features as they are. */
    void write(Head head, double[] weights) {
      int hidden = mean.length;
      int outputs = head.schema().outputs();
      float[] weight = new float[outputs * hidden];
      float[] bias = new float[outputs];
      for (int k = 0; k < outputs; k++) {
        double shift = weights[outputs * hidden + k];
        for (int j = 0; j < hidden; j++) {
          double own = weights[k * hidden + j] / deviation[j];
          weight[k * hidden + j] = (float) own;
          shift -= own * mean[j];
        }
        bias[k] = (float) shift;
      }
      try (NoGradGuard guard = new NoGradGuard()) {
        head.parameters().get(Head.WEIGHT).copy_(Torch.floats(weight, outputs, hidden));
        head.parameters().get(Head.BIAS).copy_(Torch.floats(bias, outputs));
      }
    }
  }

  /** Quality of a head on examples. */
  public static Evaluation evaluate(Head head, Examples examples) {
    int n = examples.targets.length;
    try (PointerScope scope = new PointerScope()) {
      Tensor logits =
          head.logits(head.device().floats(examples.pooled, n, examples.pooled.length / n));
      return Evaluation.of(
          new Predictions(head.schema(), Torch.toFloats(logits)), examples.targets);
    }
  }
}
