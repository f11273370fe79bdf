package org.prunepeft.train.head;

import java.util.Arrays;
import java.util.DoubleSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Schema;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;

/**
 * The task head: a linear layer over what {@link Pooling} makes of the last hidden states, or over
 * the {@link PairFeatures} of two texts, with a score for each class or one number. Always trained,
 * never pruned.
 *
 * <p>The head of a regression may be standardised while it is trained, so that learning rates suit
 * targets of any size: y = (Wx + b)·deviation + mean. {@link #fold} then writes mean and deviation
 * into W and b.
 */
public final class Head implements TaskHead {
  /** Keys in adapter files. */
  public static final String WEIGHT = "classifier.weight";

  public static final String BIAS = "classifier.bias";

  /** LibTorch's mark of an example that does not count; none of ours has it. */
  private static final long NO_CLASS = -100;

  private final Schema schema;
  private final FlatParameters parameters;

  /** Of an example of each class; null: all count the same. */
  private double[] classWeights;

  /** The same on the device. */
  private Tensor weights;

  private final Pooling pooling;

  /** Features that hardly vary: their weights are very large. */
  private int[] vanishing = new int[0];

  /** The mean of each of these. */
  private double[] vanishingMeans = new double[0];

  private double mean = 0;
  private double deviation = 1;

  /**
   * A head of zeros.
   *
   * @param schema of the task
   * @param width of the features: see {@link #width}
   * @param device where its weights lie: the encoder's
   * @param pooling which hidden states stand for a text
   */
  public Head(Schema schema, long width, ComputeDevice device, Pooling pooling) {
    this.schema = Objects.requireNonNull(schema, "schema");
    this.pooling = Objects.requireNonNull(pooling, "pooling");
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put(WEIGHT, new long[] {schema.outputs(), width});
    shapes.put(BIAS, new long[] {schema.outputs()});
    parameters = new FlatParameters(device, shapes);
  }

  /** Of the mean of the hidden states; see the other constructor. */
  public Head(Schema schema, long width, ComputeDevice device) {
    this(schema, width, device, Pooling.MEAN);
  }

  /** The same on the CPU. */
  public Head(Schema schema, long width) {
    this(schema, width, ComputeDevice.CPU);
  }

  @Override
  public Head copy() {
    Head copy = new Head(schema, parameters.get(WEIGHT).size(1), device(), pooling);
    try (NoGradGuard guard = new NoGradGuard()) {
      copy.parameters.values().copy_(parameters.values());
    }
    copy.vanishing = vanishing;
    copy.vanishingMeans = vanishingMeans;
    copy.weigh(classWeights);
    copy.mean = mean;
    copy.deviation = deviation;
    return copy;
  }

  /** {@inheritDoc} Mean and deviation stay this one's. */
  @Override
  public void copyWeights(TaskHead other) {
    Head from = (Head) other;
    try (NoGradGuard guard = new NoGradGuard()) {
      parameters.values().copy_(from.parameters.values());
      parameters.values().mul_(new Scalar(from.deviation / deviation));
      parameters.get(BIAS).add_(new Scalar((from.mean - mean) / deviation));
    }
  }

  /**
   * Makes examples of some classes count more in {@link #loss}.
   *
   * @param byClass how much an example of each class counts, above 0; null: all the same
   */
  void weigh(double[] byClass) {
    classWeights = byClass;
    if (byClass == null) {
      return;
    }
    float[] values = new float[byClass.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) byClass[i];
    }
    weights = device().floats(values, values.length);
    weights.retainReference();
  }

  /** Notes the features that hardly vary, and their means. */
  void vanishing(int[] features, double[] means) {
    vanishing = features;
    vanishingMeans = means;
  }

  /**
   * {@inheritDoc}
   *
   * <p>A frozen normalisation with weights of 1e-8 or 1e-30 (MiniLM has three) gives such features,
   * and the fit gives them weights of 1e6 or 1e30. Once the normalisation is trained, its gradient
   * overflows, or a step of the learning rate's size changes the outputs beyond measure.
   */
  @Override
  public void dropVanishing() {
    try (NoGradGuard guard = new NoGradGuard()) {
      for (int i = 0; i < vanishing.length; i++) {
        Tensor weights = parameters.get(WEIGHT).select(1, vanishing[i]);
        parameters.get(BIAS).add_(weights.mul(new Scalar(vanishingMeans[i])));
        weights.zero_();
      }
    }
  }

  /** How much an example of each class counts; null: all the same. */
  double[] classWeights() {
    return classWeights;
  }

  /** Makes a class's score lower by so much for every example. */
  public void lower(int label, double by) {
    try (NoGradGuard guard = new NoGradGuard()) {
      parameters.get(BIAS).select(0, label).sub_(new Scalar(by));
    }
  }

  @Override
  public ComputeDevice device() {
    return ComputeDevice.of(parameters.values());
  }

  @Override
  public Schema schema() {
    return schema;
  }

  /** Weight [outputs, width] and bias [outputs]. */
  @Override
  public FlatParameters parameters() {
    return parameters;
  }

  /** Outputs [B, outputs], scores or the predicted number, of features [B, width]. */
  public Tensor logits(Tensor features) {
    Tensor outputs =
        torch.linear(features, parameters.get(WEIGHT), new TensorOptional(parameters.get(BIAS)));
    return standardised() ? outputs.mul(new Scalar(deviation)).add(new Scalar(mean)) : outputs;
  }

  /**
   * Targets as {@link #loss} takes them, on the head's device: [B] int64 classes, or [B, 1] float32
   * numbers.
   *
   * @param targets [B] numbers of the classes, or the numbers to be predicted
   */
  public Tensor targets(double[] targets) {
    if (schema.kind() == TaskKind.CLASSIFICATION) {
      return device()
          .longs(Arrays.stream(targets).mapToLong(t -> (long) t).toArray(), targets.length);
    }
    float[] values = new float[targets.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) targets[i];
    }
    return device().floats(values, values.length, 1);
  }

  @Override
  public Tensor reduced(Tensor hidden, EncoderInput input) {
    return pooling.of(hidden, input);
  }

  @Override
  public Tensor targets(Batch batch) {
    return targets(batch.targets());
  }

  @Override
  public Tensor loss(Tape tape, Tensor reduced, Tensor targets, int towers, double labelSmoothing) {
    return loss(logits(features(reduced, towers)), targets, labelSmoothing);
  }

  @Override
  public Tensor outputs(Tensor reduced, Batch batch) {
    return logits(features(reduced, batch.towers()));
  }

  /** Mean loss without label smoothing; see the other method. */
  public Tensor loss(Tensor logits, Tensor targets) {
    return loss(logits, targets, 0);
  }

  /**
   * Mean loss over the examples: cross-entropy of a classification, times the weight of the
   * example's class; of a regression the squared error, by the squared deviation where the head is
   * standardised.
   *
   * @param logits [B, outputs]
   * @param targets of as many examples, from {@link #targets}
   * @param labelSmoothing share of each class that is spread evenly over all, in [0, 1); not for a
   *     regression
   */
  public Tensor loss(Tensor logits, Tensor targets, double labelSmoothing) {
    if (schema.kind() == TaskKind.CLASSIFICATION) {
      if (weights == null) {
        return crossEntropy(logits, targets, torch.Reduction.Mean.value, labelSmoothing);
      }
      // LibTorch's weights would scale the smoothed share of each class by that class, and its mean
      // would divide by the weights of the batch: a batch of one would not know of any.
      Tensor each = crossEntropy(logits, targets, torch.Reduction.None.value, labelSmoothing);
      return each.mul(weights.index_select(0, targets)).mean();
    }
    Tensor loss = torch.mse_loss(logits, targets);
    return standardised() ? loss.div(new Scalar(deviation * deviation)) : loss;
  }

  @Override
  public double objective(Evaluation evaluation, double[] targets, double labelSmoothing) {
    if (schema.kind() != TaskKind.CLASSIFICATION || classWeights == null && labelSmoothing == 0) {
      return evaluation.loss();
    }
    float[] logits = evaluation.predictions().outputs();
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      Tensor scores =
          device().floats(logits, targets.length, Math.toIntExact(logits.length / targets.length));
      return loss(scores, targets(targets), labelSmoothing).item_double();
    }
  }

  private static Tensor crossEntropy(
      Tensor logits, Tensor targets, long reduction, double labelSmoothing) {
    return torch.cross_entropy_loss(
        logits, targets, Torch.none(), reduction, NO_CLASS, labelSmoothing);
  }

  /**
   * Standardises the head of a regression by the mean and standard deviation of the targets, if
   * these differ; leaves that of a classification alone. Before the first training.
   *
   * @param targets 1 or more
   * @throws DataException if float32 can't train on them: one, or the square of their deviation, is
   *     beyond its range, or they differ and that square is below its normal numbers
   */
  public void standardise(double[] targets) {
    if (schema.kind() != TaskKind.REGRESSION) {
      return;
    }
    DoubleSummaryStatistics all = Arrays.stream(targets).summaryStatistics();
    double centre = all.getAverage();
    double variance =
        Arrays.stream(targets).map(t -> (t - centre) * (t - centre)).average().orElseThrow();
    boolean differ = all.getMin() < all.getMax();
    double largest =
        Math.max(
            Math.max(Math.abs(all.getMin()), Math.abs(all.getMax())),
            Math.pow(all.getMax() - all.getMin(), 2));
    if (!(largest <= Float.MAX_VALUE) || differ && variance < Float.MIN_NORMAL) {
      throw new DataException(
          String.format(
              Locale.ROOT,
              "the labels are numbers from %s to %s with a standard deviation of %s, on which float32 can't train;"
                  + " scale the labels, say so that they lie between -1000 and 1000",
              all.getMin(),
              all.getMax(),
              Math.sqrt(variance)));
    }
    mean = centre;
    deviation = differ ? Math.sqrt(variance) : 1;
  }

  /** A target as the standardised head has it. */
  double standard(double target) {
    return (target - mean) / deviation;
  }

  /** Writes mean and deviation into weight and bias; what the head predicts stays the same. */
  @Override
  public void fold() {
    if (!standardised()) {
      return;
    }
    try (NoGradGuard guard = new NoGradGuard()) {
      parameters.values().mul_(new Scalar(deviation));
      parameters.get(BIAS).add_(new Scalar(mean));
    }
    mean = 0;
    deviation = 1;
  }

  /** Gives weights, mean and deviation to a checkpoint, or takes them from one. */
  @Override
  public void exchange(StateExchange state) {
    state.tensor("values", parameters.values());
    mean = state.number("mean", mean);
    deviation = state.number("deviation", deviation);
  }

  private boolean standardised() {
    return mean != 0 || deviation != 1;
  }

  /**
   * {@return how many features a head has}
   *
   * @param hidden the encoder's width
   * @param towers texts of an example that are encoded by themselves, 1 or 2
   */
  public static int width(int hidden, int towers) {
    return towers == 1 ? hidden : PairFeatures.width(hidden);
  }

  /**
   * {@return what a head takes, [B, width]}
   *
   * @param pooled [B·towers, hidden], the texts of an example one below the other
   * @param towers texts of an example that are encoded by themselves, 1 or 2
   */
  public static Tensor features(Tensor pooled, int towers) {
    return towers == 1 ? pooled : PairFeatures.of(pooled);
  }

  @Override
  public void close() {
    if (weights != null) {
      weights.releaseReference();
      weights = null;
    }
    parameters.close();
  }
}
