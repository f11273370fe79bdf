package org.prunepeft.cli;

import org.prunepeft.model.Precision;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.Schedule;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How modules and head are trained, in the names of Hugging Face. */
final class TrainingOptions {
  private static final String RATE = "--learning-rate";
  private static final String LORA_RATE = "--lora-learning-rate";
  private static final String ADAPTER_RATE = "--adapter-learning-rate";
  private static final String ENCODER_RATE = "--encoder-learning-rate";
  private static final String WARMUP_RATIO = "--warmup-ratio";
  private static final String WARMUP_STEPS = "--warmup-steps";

  @Option(
      names = {"--epochs", "--num-train-epochs"},
      defaultValue = "8",
      paramLabel = "N",
      description = "Epochs of the training whose best is kept (default: ${DEFAULT-VALUE}).")
  int epochs;

  @Option(
      names = {"--batch-size", "--per-device-train-batch-size"},
      defaultValue = "32",
      paramLabel = "N",
      description = "Examples that are computed at once (default: ${DEFAULT-VALUE}).")
  int batchSize;

  @Option(
      names = "--gradient-accumulation-steps",
      defaultValue = "1",
      paramLabel = "N",
      description = "Batches whose gradients make one step (default: ${DEFAULT-VALUE}).")
  int accumulationSteps;

  @Option(
      names = "--precision",
      defaultValue = "float32",
      paramLabel = "TYPE",
      description =
          "What frozen weights and activations are: ${COMPLETION-CANDIDATES}; trained weights are float32 in either (default: ${DEFAULT-VALUE}).")
  Precision precision;

  @Option(
      names = "--device",
      defaultValue = "cpu",
      paramLabel = "DEVICE",
      description =
          "Where it is computed: cpu, cuda, cuda:N, or auto, a GPU if one can be used (default: ${DEFAULT-VALUE}).")
  String device;

  @Option(
      names = "--optim",
      defaultValue = "adamw",
      paramLabel = "NAME",
      description = "Optimiser: adamw or adafactor (default: ${DEFAULT-VALUE}).")
  String optimizer;

  @Option(
      names = RATE,
      paramLabel = "RATE",
      description =
          "Peak learning rate of LoRA and adapters, and of the encoder where all of it is trained; those that have an option of their own go by that.")
  Double rate;

  @Option(
      names = LORA_RATE,
      paramLabel = "RATE",
      description = "Peak learning rate of LoRA (default: 1e-3).")
  Double loraRate;

  @Option(
      names = ADAPTER_RATE,
      paramLabel = "RATE",
      description = "Peak learning rate of adapters (default: 1e-3).")
  Double adapterRate;

  @Option(
      names = "--head-learning-rate",
      defaultValue = "1e-3",
      paramLabel = "RATE",
      description =
          "Peak learning rate of the task head in the training; before that it is fitted, which has no rate (default: ${DEFAULT-VALUE}).")
  double headRate;

  @Option(
      names = ENCODER_RATE,
      paramLabel = "RATE",
      description =
          "Peak learning rate of the encoder's own weights, in full fine-tuning (default: 2e-5).")
  Double encoderRate;

  @Option(
      names = "--weight-decay",
      defaultValue = "0.01",
      paramLabel = "DECAY",
      description = "Decoupled weight decay of all trained weights (default: ${DEFAULT-VALUE}).")
  double weightDecay;

  @Option(
      names = "--max-grad-norm",
      defaultValue = "0",
      paramLabel = "NORM",
      description =
          "Gradients are scaled down to this norm over all trained weights; 0: never (default: ${DEFAULT-VALUE}).")
  double maxGradNorm;

  @Option(
      names = "--label-smoothing-factor",
      defaultValue = "0",
      paramLabel = "SHARE",
      description =
          "Share of each label that is spread over all classes (default: ${DEFAULT-VALUE}).")
  double labelSmoothing;

  @Option(
      names = WARMUP_RATIO,
      defaultValue = "0.06",
      paramLabel = "SHARE",
      description =
          "Share of the steps over which the learning rate rises; of a short training at least 20 steps or a third, unless it is 0 (default: ${DEFAULT-VALUE}).")
  double warmupRatio;

  @Option(
      names = WARMUP_STEPS,
      defaultValue = "0",
      paramLabel = "N",
      description =
          "Steps over which it rises, instead of a share; 0: the share holds (default: ${DEFAULT-VALUE}).")
  int warmupSteps;

  @Option(
      names = "--lr-scheduler-type",
      defaultValue = "linear",
      paramLabel = "TYPE",
      description = "How it goes then: constant, linear or cosine (default: ${DEFAULT-VALUE}).")
  String schedule;

  @Option(
      names = "--early-stopping-patience",
      defaultValue = "0",
      paramLabel = "EPOCHS",
      description =
          "Epochs without a better validation result after which the training ends; 0: it goes on to the last (default: ${DEFAULT-VALUE}).")
  int patience;

  @Option(
      names = "--activation-cache-mb",
      defaultValue = "1024",
      paramLabel = "MB",
      description =
          "Memory for each data set in which the outputs of layers below the lowest module are kept from epoch to epoch; 0: none (default: ${DEFAULT-VALUE}).")
  int activationCache;

  @Option(
      names = "--activation-cache-half",
      description = "Keep them as float16: half the memory, rounded once.")
  boolean activationCacheHalf;

  /** Puts in place what is in effect; the rate of all is then no longer set. */
  void settle(CommandSpec command) {
    TrainingSettings usual = TrainingSettings.DEFAULT;
    loraRate = rate(LORA_RATE, loraRate, usual.loraLearningRate(), command);
    adapterRate = rate(ADAPTER_RATE, adapterRate, usual.adapterLearningRate(), command);
    encoderRate = rate(ENCODER_RATE, encoderRate, usual.encoderLearningRate(), command);
    rate = null;
    if (ConfigFile.isTypedInstead(WARMUP_RATIO, WARMUP_STEPS, command)) {
      warmupSteps = 0;
    }
  }

  private double rate(String option, Double own, double usual, CommandSpec command) {
    if (own == null || ConfigFile.isTypedInstead(RATE, option, command)) {
      return rate == null ? usual : rate;
    }
    return own;
  }

  TrainingSettings settings(int maxLength) {
    return TrainingSettings.builder()
        .batchSize(batchSize)
        .gradientAccumulationSteps(accumulationSteps)
        .optimizer(OptimizerType.byName(optimizer))
        .loraLearningRate(loraRate)
        .adapterLearningRate(adapterRate)
        .headLearningRate(headRate)
        .encoderLearningRate(encoderRate)
        .weightDecay(weightDecay)
        .maxGradNorm(maxGradNorm)
        .labelSmoothing(labelSmoothing)
        .warmupRatio(warmupRatio)
        .warmupSteps(warmupSteps)
        .schedule(Schedule.byName(schedule))
        .earlyStoppingPatience(patience)
        .maxLength(maxLength)
        .activationCacheMegabytes(activationCache)
        .activationCacheHalf(activationCacheHalf)
        .build();
  }
}
