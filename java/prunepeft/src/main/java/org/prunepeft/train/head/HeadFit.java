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
import org.prunepeft.data.DataException;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;

/**
 * Fits a head on features of the frozen encoder, before any module is trained: modules that are
 * judged while the head is still learning are judged by how they stand in for it.
 *
 * <p>It is logistic regression, or ridge regression for numbers: convex, solved by L-BFGS in
 * float32 on standardised features. The penalty is the one with the lowest loss on held-out
 * examples, so that the loss on the training examples is not driven to nothing, which would leave
 * the modules no gradient.
 */
public final class HeadFit {
  /** More examples than these hardly change a linear layer; they bound time and memory. */
  public static final int MOST_EXAMPLES = 20_000;

  /**
   * Of training and of held-out examples, so many choose the penalty: the best strength goes with
   * one over the number of examples, as that of a prior does.
   */
  private static final int MOST_TO_CHOOSE_BY = 2000;

  private static final int FOLDS = 5;

  /** Held-out examples that are enough to choose a penalty by: no more folds are made. */
  private static final int ENOUGH_HELD_OUT = 1000;

  /** Of the penalty, from the strongest: 4 to 6e-5, each a quarter of the one before. */
  private static final double[] STRENGTHS =
      IntStream.range(0, 9).mapToDouble(i -> StrictMath.pow(4, 1 - i)).toArray();

  /** Where there is nothing to choose it by. */
  private static final double USUAL_STRENGTH = 0.1;

  /** So many weaker penalties in turn that lose on held-out examples end the search. */
  private static final int PATIENCE = 2;

  /** So does a single one that loses this share. */
  private static final double CLEARLY_WORSE = 0.01;

  /**
   * Of the gradient at zero, what may be left of it. Held-out losses are then right to a percent.
   */
  private static final double TOLERANCE = 1e-2;

  private static final int MOST_ITERATIONS = 300;

  /** Their decomposition takes the cube of the features; beyond it costs more than it saves. */
  private static final int MOST_ROTATED = 1024;

  /** A feature that varies by less, relative to its mean, is constant: the rest is rounding. */
  private static final double LEAST_DEVIATION = 1e-5;

  /** Weights that are trained from such features on would overflow. */
  private static final double VANISHING = 1e-4;

  private HeadFit() {}

  /**
   * Examples as a head sees them.
   *
   * @param pooled [n · width] features
   * @param targets [n]
   * @param towers texts of an example that were encoded by themselves: 2: {@link PairFeatures}
   */
  public record Examples(float[] pooled, double[] targets, int towers) {
    /** Of single texts, or of pairs that were encoded as one. */
    public Examples(float[] pooled, double[] targets) {
      this(pooled, targets, 1);
    }
  }

  /** What is fitted on, and what it is judged on. */
  private record FitSplit(PenalisedLoss train, PenalisedLoss heldOut, double[] slopes) {
    FitSplit(PenalisedLoss train, PenalisedLoss heldOut) {
      this(train, heldOut, HeadFit.slopes(train));
    }
  }

  /**
   * @param train 1 or more
   * @param validation the penalty is chosen by it; none: by folds of the training examples
   * @param device where the head is to lie: the encoder's
   * @param pooling that made the features
   * @param labelSmoothing share of each class that is spread evenly over all, in [0, 1)
   * @param classWeights how much an example of each class counts, 1 in the mean; null: all the same
   * @param seed of the folds
   * @return the caller's
   * @throws DataException as {@link Head#standardise} does
   */
  public static Head fit(
      Examples train,
      Examples validation,
      Schema schema,
      ComputeDevice device,
      Pooling pooling,
      double labelSmoothing,
      double[] classWeights,
      long seed) {
    Examples used = atMost(MOST_EXAMPLES, train, seed);
    Head head = new Head(schema, used.pooled.length / used.targets.length, device, pooling);
    try {
      head.standardise(train.targets);
    } catch (DataException e) {
      head.close();
      throw e;
    }
    head.weigh(classWeights);
    Standard standard = Standard.of(used);
    try (PointerScope scope = new PointerScope()) {
      double smoothing = smoothing(used.targets, schema, labelSmoothing);
      PenalisedLoss straight = loss(used, head, standard, smoothing);
      Tensor axes = straight.features().size(1) <= MOST_ROTATED ? straight.axes() : null;
      PenalisedLoss all = along(straight, axes);
      Examples few = atMost(MOST_TO_CHOOSE_BY, used, seed);
      PenalisedLoss ofFew = few == used ? all : along(loss(few, head, standard, smoothing), axes);
      Examples heldOut = atMost(MOST_TO_CHOOSE_BY, validation, seed);
      List<FitSplit> splits =
          heldOut.targets.length > 0
              ? List.of(new FitSplit(ofFew, along(loss(heldOut, head, standard, smoothing), axes)))
              : folds(few, ofFew, seed);
      Penalty choice = choose(ofFew.size(), splits);
      PenalisedLoss chosen = all.with(choice.strength * few.targets.length / used.targets.length);
      double[] weights = minimise(chosen, slopes(all), choice.weights, TOLERANCE).x();
      standard.write(head, axes == null ? weights : all.back(weights, axes));
      int[] vanishing = standard.vanishing();
      head.vanishing(
          vanishing, Arrays.stream(vanishing).mapToDouble(j -> standard.mean[j]).toArray());
    }
    return head;
  }

  private static PenalisedLoss along(PenalisedLoss loss, Tensor axes) {
    return axes == null ? loss : loss.along(axes);
  }

  /** A penalty, and weight and bias with it on the first split. */
  private record Penalty(double strength, double[] weights) {}

  /** The penalty that is best on what is held out. */
  private static Penalty choose(int size, List<FitSplit> splits) {
    double[][] weights = new double[splits.size()][size];
    double best = Double.POSITIVE_INFINITY;
    Penalty choice = new Penalty(USUAL_STRENGTH, new double[size]);
    int worse = 0;
    for (int s = 0; s < STRENGTHS.length && worse < PATIENCE && !splits.isEmpty(); s++) {
      double sum = 0;
      for (int i = 0; i < weights.length; i++) {
        FitSplit split = splits.get(i);
        PenalisedLoss loss = split.train.with(STRENGTHS[s]);
        weights[i] = minimise(loss, split.slopes, weights[i], TOLERANCE).x();
        sum += split.heldOut.unpenalised(weights[i]);
      }
      if (sum < best) {
        best = sum;
        choice = new Penalty(STRENGTHS[s], weights[0]);
        worse = 0;
      } else {
        worse += sum > (1 + CLEARLY_WORSE) * best ? PATIENCE : 1;
      }
    }
    return choice;
  }

  /** The gradient at weights of zero, where the penalty has none. */
  private static double[] slopes(PenalisedLoss loss) {
    double[] slopes = new double[loss.size()];
    loss.at(new double[loss.size()], slopes);
    return slopes;
  }

  /**
   * Down to a share of the gradient at zero.
   *
   * @param slopes that gradient
   */
  private static Lbfgs.Minimum minimise(
      PenalisedLoss loss, double[] slopes, double[] start, double share) {
    double[] scales = loss.scales();
    double most = 0;
    for (int i = 0; i < slopes.length; i++) {
      most = Math.max(most, Math.abs(slopes[i]) / scales[i]);
    }
    return minimise(loss, scales, start, share * most, MOST_ITERATIONS);
  }

  /**
   * In coordinates in which the curvature is about 1 everywhere: pooled outputs have few directions
   * of large variance and many of little, which would cost hundreds of iterations.
   *
   * @param tolerance of each element of the gradient in these coordinates
   */
  static Lbfgs.Minimum minimise(
      PenalisedLoss loss, double[] scales, double[] start, double tolerance, int iterations) {
    double[] scaled = new double[start.length];
    for (int i = 0; i < start.length; i++) {
      scaled[i] = start[i] * scales[i];
    }
    Lbfgs.Minimum result =
        Lbfgs.minimise(
            (x, gradient) -> {
              double value = loss.at(divided(x, scales), gradient);
              System.arraycopy(divided(gradient, scales), 0, gradient, 0, gradient.length);
              return value;
            },
            scaled,
            tolerance,
            iterations);
    double largest = Arrays.stream(scales).max().orElseThrow();
    return new Lbfgs.Minimum(
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
    double[] weights = head.classWeights();
    float[] targets = new float[n * outputs];
    for (int i = 0; i < n; i++) {
      if (classes) {
        int label = (int) examples.targets[i];
        double weight = weights == null ? 1 : weights[label];
        float spread = (float) (weight * smoothing / outputs);
        Arrays.fill(targets, i * outputs, (i + 1) * outputs, spread);
        targets[i * outputs + label] += (float) (weight * (1 - smoothing));
      } else {
        targets[i] = (float) head.standard(examples.targets[i]);
      }
    }
    return new PenalisedLoss(
        standard.features(examples),
        Torch.floats(targets, n, outputs),
        classes,
        weights != null,
        0);
  }

  /** Each has a share of each class, or of each range of numbers. */
  private static List<FitSplit> folds(Examples examples, PenalisedLoss all, long seed) {
    int[] order = order(examples.targets, seed);
    int folds = Math.min(FOLDS, order.length);
    List<FitSplit> splits = new ArrayList<>();
    // A fold holds a share of the examples out: of many, one or two folds are enough.
    int made = Math.min(folds, (ENOUGH_HELD_OUT * folds + order.length - 1) / order.length);
    for (int fold = 0; folds > 1 && fold < made; fold++) {
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
      splits.add(new FitSplit(rows(all, in), rows(all, out)));
    }
    return splits;
  }

  private static PenalisedLoss rows(PenalisedLoss all, long[] rows) {
    Tensor index = Torch.longs(rows, rows.length);
    return new PenalisedLoss(
        all.features().index_select(0, index),
        all.targets().index_select(0, index),
        all.classes(),
        all.weighted(),
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
  private static Examples atMost(int most, Examples all, long seed) {
    int n = all.targets.length;
    if (n <= most) {
      return all;
    }
    int[] order = order(all.targets, seed);
    int hidden = all.pooled.length / n;
    float[] pooled = new float[most * hidden];
    double[] targets = new double[most];
    for (int i = 0; i < most; i++) {
      int from = order[(int) ((long) i * n / most)];
      targets[i] = all.targets[from];
      System.arraycopy(all.pooled, from * hidden, pooled, i * hidden, hidden);
    }
    return new Examples(pooled, targets, all.towers);
  }

  /**
   * Mean and standard deviation of each feature; the deviation of a constant one is infinite, that
   * of a cosine smaller by a factor, which makes it count for more.
   */
  private record Standard(double[] mean, double[] deviation, double cosineScale) {
    static Standard of(Examples examples) {
      int n = examples.targets.length;
      int hidden = examples.pooled.length / n;
      double[] mean = new double[hidden];
      double[] deviation = new double[hidden];
      for (int from = 0; from < examples.pooled.length; from += hidden) {
        for (int j = 0; j < hidden; j++) {
          mean[j] += examples.pooled[from + j] / (double) n;
        }
      }
      for (int from = 0; from < examples.pooled.length; from += hidden) {
        for (int j = 0; j < hidden; j++) {
          double difference = examples.pooled[from + j] - mean[j];
          deviation[j] += difference * difference / n;
        }
      }
      for (int j = 0; j < hidden; j++) {
        double root = Math.sqrt(deviation[j]);
        deviation[j] = root > LEAST_DEVIATION * Math.abs(mean[j]) ? root : Double.POSITIVE_INFINITY;
      }
      double cosineScale = examples.towers == 2 ? PairFeatures.cosineScale(hidden) : 1;
      deviation[hidden - 1] /= cosineScale;
      return new Standard(mean, deviation, cosineScale);
    }

    /**
     * Features that vary by less than {@value #VANISHING} times what the one that varies most does.
     */
    int[] vanishing() {
      double[] own = deviation.clone();
      own[own.length - 1] *= cosineScale;
      double most = Arrays.stream(own).filter(Double::isFinite).max().orElse(0);
      return IntStream.range(0, own.length).filter(j -> own[j] < VANISHING * most).toArray();
    }

    Tensor features(Examples examples) {
      int hidden = mean.length;
      float[] features = new float[examples.pooled.length];
      for (int from = 0; from < features.length; from += hidden) {
        for (int j = 0; j < hidden; j++) {
          features[from + j] = (float) ((examples.pooled[from + j] - mean[j]) / deviation[j]);
        }
      }
      return Torch.floats(features, examples.targets.length, hidden);
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
