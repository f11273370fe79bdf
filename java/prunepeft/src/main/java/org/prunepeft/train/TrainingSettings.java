package org.prunepeft.train;

import io.soabase.recordbuilder.core.RecordBuilder;
import org.prunepeft.search.Candidate;
import org.prunepeft.text.Required;

/**
 * How modules and head are trained. Learning rates are the peaks of the schedule.
 *
 * @param batchSize examples that are computed at once, 1 or more; Hugging Face's {@code
 *     per_device_train_batch_size}
 * @param gradientAccumulationSteps batches whose gradients make one step of the optimiser, 1 to
 *     65536
 * @param optimizer the rule by which weights are updated
 * @param loraLearningRate of LoRA modules, above 0
 * @param adapterLearningRate of serial adapters, and of any other kind of module; above 0
 * @param headLearningRate of the task head, which is fitted before, in the training; above 0
 * @param encoderLearningRate of the encoder's own weights, in full fine-tuning; above 0
 * @param weightDecay decoupled from the gradient: each step takes off this share of every trained
 *     weight, times the learning rate; 0 or more
 * @param maxGradNorm a step's gradient over all trained weights is scaled down to this Euclidean
 *     norm where it is larger; 0: never
 * @param labelSmoothing share of each label that is spread evenly over all classes, in [0, 1)
 * @param warmupRatio share of the steps over which the rate rises, in [0, 1); of a short training
 *     20 steps, or a third of them, unless it is 0
 * @param warmupSteps steps over which the rate rises, instead of a share; 0: the share holds
 * @param schedule how the rate goes afterwards
 * @param earlyStoppingPatience epochs without a better validation result after which a training
 *     ends; 0: it never ends early
 * @param maxLength longest sequence in tokens, 8 or more; longer texts are cut, or see tooLong
 * @param activationCacheMegabytes memory in which the outputs of layers below the lowest module are
 *     kept from epoch to epoch, for each data set; 0: they are computed each time
 * @param activationCacheHalf whether they are kept as float16
 * @param nonFinite what becomes of a step whose loss or gradient is NaN or infinite. A search tries
 *     a round with such a step again at half the rates, whatever this says
 * @param detectAnomaly whether each step's activations are looked at, too, by passes of their own
 *     without dropout, a micro-batch at a time: an operation may make finite again what is not. On
 *     a GPU each step then waits for its numbers, so that it is found before it changes a weight
 * @param classWeights how much the examples of each class count in the loss
 * @param tuneThreshold whether, of two classes, the second is predicted from the probability on
 *     that is best on validation examples, not from one half; the head's bias takes that in
 * @param packing whether short texts that a language model learns from share rows of maxLength
 *     tokens, which attention does not cross
 * @param gradientCheckpointing whether a layer is computed again in the backward pass, so that of
 *     each no more than its input is kept: less memory, a third more time, the same gradients
 * @param maxNewTokens the most tokens that a language model writes as an answer, for exact match; 1
 *     or more
 * @param tooLong what becomes of a language model's texts of more than maxLength tokens
 */
@RecordBuilder
public record TrainingSettings(
    int batchSize,
    int gradientAccumulationSteps,
    OptimizerType optimizer,
    double loraLearningRate,
    double adapterLearningRate,
    double headLearningRate,
    double encoderLearningRate,
    double weightDecay,
    double maxGradNorm,
    double labelSmoothing,
    double warmupRatio,
    int warmupSteps,
    Schedule schedule,
    int earlyStoppingPatience,
    int maxLength,
    int activationCacheMegabytes,
    boolean activationCacheHalf,
    NonFinite nonFinite,
    boolean detectAnomaly,
    ClassWeights classWeights,
    boolean tuneThreshold,
    boolean packing,
    boolean gradientCheckpointing,
    int maxNewTokens,
    TooLong tooLong)
    implements TrainingSettingsBuilder.With {
  /** The longest sequence in tokens, unless another is set. */
  public static final int DEFAULT_MAX_LENGTH = 128;

  /**
   * That of texts that a language model learns from. The command line takes it by itself; {@link
   * #DEFAULT}, which knows no model, has an encoder's, so a program sets it.
   */
  public static final int DEFAULT_TEXT_LENGTH = 512;

  /** The batch size of a language model, unless another is set; a program sets it likewise. */
  public static final int DEFAULT_TEXT_ROWS = 8;

  /** The most tokens of an answer, unless another number is set. */
  private static final int DEFAULT_NEW_TOKENS = 256;

  /** What {@link #builder} begins with; what is not set here is 0 or false. */
  public static final TrainingSettings DEFAULT =
      TrainingSettingsBuilder.builder()
          .batchSize(32)
          .gradientAccumulationSteps(1)
          .optimizer(OptimizerType.ADAMW)
          .loraLearningRate(1e-3)
          .adapterLearningRate(1e-3)
          .headLearningRate(1e-3)
          .encoderLearningRate(2e-5)
          .weightDecay(0.01)
          .warmupRatio(0.06)
          .schedule(Schedule.LINEAR)
          .maxLength(DEFAULT_MAX_LENGTH)
          .activationCacheMegabytes(1024)
          .nonFinite(NonFinite.STOP)
          .classWeights(ClassWeights.NONE)
          .packing(true)
          .maxNewTokens(DEFAULT_NEW_TOKENS)
          .tooLong(TooLong.CUT)
          .build();

  /** Dropout masks carry the number of the batch within its step in 16 bits. */
  private static final int MOST_ACCUMULATION_STEPS = 1 << 16;

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if a value is out of its range
   */
  public TrainingSettings {
    require(maxNewTokens >= 1, "max new tokens must be at least 1", maxNewTokens);
    Required.present("the optimizer", optimizer);
    Required.present("the schedule", schedule);
    Required.present("non-finite", nonFinite);
    Required.present("class weights", classWeights);
    Required.present("too long", tooLong);
    require(batchSize >= 1, "batch size must be at least 1", batchSize);
    require(
        gradientAccumulationSteps >= 1 && gradientAccumulationSteps <= MOST_ACCUMULATION_STEPS,
        "gradient accumulation steps must be in [1, " + MOST_ACCUMULATION_STEPS + "]",
        gradientAccumulationSteps);
    require(
        (long) batchSize * gradientAccumulationSteps <= Integer.MAX_VALUE,
        "batch size times gradient accumulation steps must be at most " + Integer.MAX_VALUE,
        (long) batchSize * gradientAccumulationSteps);
    requireRate(loraLearningRate, "LoRA");
    requireRate(adapterLearningRate, "adapters");
    requireRate(headLearningRate, "the head");
    requireRate(encoderLearningRate, "the encoder");
    require(
        weightDecay >= 0 && Double.isFinite(weightDecay),
        "weight decay must be 0 or more",
        weightDecay);
    require(
        maxGradNorm >= 0 && Double.isFinite(maxGradNorm),
        "the largest gradient norm must be 0 (no clipping) or more",
        maxGradNorm);
    require(
        labelSmoothing >= 0 && labelSmoothing < 1,
        "label smoothing must be in [0, 1)",
        labelSmoothing);
    require(
        warmupRatio >= 0 && warmupRatio < 1, "the warm-up ratio must be in [0, 1)", warmupRatio);
    require(warmupSteps >= 0, "warm-up steps must be 0 or more", warmupSteps);
    require(
        earlyStoppingPatience >= 0,
        "early stopping patience must be 0 (no early stopping) or more",
        earlyStoppingPatience);
    require(maxLength >= 8, "the longest sequence must have at least 8 tokens", maxLength);
    require(
        activationCacheMegabytes >= 0,
        "the activation cache must have 0 megabytes (none) or more",
        activationCacheMegabytes);
  }

  private static void requireRate(double rate, String whose) {
    require(
        rate > 0 && Double.isFinite(rate),
        "the learning rate of " + whose + " must be above 0",
        rate);
  }

  private static void require(boolean holds, String message, Number value) {
    if (!holds) {
      throw new IllegalArgumentException(message + ", got " + value);
    }
  }

  /**
   * {@return the peak rate for a kind of module}
   *
   * @param type lora, adapter, or the name of another kind
   */
  public double moduleLearningRate(String type) {
    return type.equals(Candidate.LORA) ? loraLearningRate : adapterLearningRate;
  }

  /** {@return examples a step of the optimiser} */
  public int examplesPerStep() {
    return batchSize * gradientAccumulationSteps;
  }

  /**
   * Steps that a warm-up by share has at least, as far as a third of the training goes: Adam's
   * first steps move each weight by the whole rate whatever its gradient is, all modules at once,
   * and a few per cent of a short training are no step at all.
   */
  private static final int LEAST_WARMUP_STEPS = 20;

  /**
   * {@return the learning rate's share of its peak}
   *
   * @param step 0-based
   * @param steps of the whole training
   */
  public double rateFactor(int step, int steps) {
    return schedule.factor(step, steps, warmup(steps));
  }

  /**
   * {@return whether a training keeps the outputs of layers below its lowest module, so that they
   * are computed once}
   *
   * @param epochs of the training
   */
  public boolean keepsActivations(int epochs) {
    return activationCacheMegabytes > 0 && epochs > 1;
  }

  private int warmup(int steps) {
    if (warmupSteps > 0 || warmupRatio == 0) {
      return warmupSteps;
    }
    int share = (int) Math.ceil(steps * warmupRatio);
    return Math.max(share, Math.min(LEAST_WARMUP_STEPS, (steps + 2) / 3));
  }

  /** {@return a builder that begins with the defaults} */
  public static TrainingSettingsBuilder builder() {
    return TrainingSettingsBuilder.builder(DEFAULT);
  }
}
