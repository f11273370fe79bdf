package org.prunepeft.cli;

import org.prunepeft.model.Precision;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How modules and head are trained, in the names of Hugging Face. */
@OptionsOf({Setup.class, TrainingSettings.class})
final class TrainingOptions {
  private static final String RATE = "--learning-rate";
  private static final String LORA_RATE = "--lora-learning-rate";
  private static final String ADAPTER_RATE = "--adapter-learning-rate";
  private static final String ENCODER_RATE = "--encoder-learning-rate";
  private static final String WARMUP_RATIO = "--warmup-ratio";
  private static final String WARMUP_STEPS = "--warmup-steps";

  @Option(
      names = {"--epochs", "--num-train-epochs"},
      paramLabel = "N",
      description = "Epochs of the training whose best is kept (default: ${DEFAULT-VALUE}).")
  int epochs;

  @Option(
      names = {"--batch-size", "--per-device-train-batch-size"},
      paramLabel = "N",
      description = "Examples that are computed at once (default: ${DEFAULT-VALUE}).")
  int batchSize;

  @Option(
      names = "--gradient-accumulation-steps",
      paramLabel = "N",
      description = "Batches whose gradients make one step (default: ${DEFAULT-VALUE}).")
  int gradientAccumulationSteps;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      description =
          "What frozen weights and activations are: ${COMPLETION-CANDIDATES}; trained weights are float32 in either (default: ${DEFAULT-VALUE}).")
  Precision precision;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "Where it is computed: cpu, cuda, cuda:N, or auto, a GPU if one can be used (default: ${DEFAULT-VALUE}).")
  String device;

  @Option(
      names = "--optim",
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
      description = "Peak learning rate of LoRA (default: ${DEFAULT-VALUE}).")
  double loraLearningRate;

  @Option(
      names = ADAPTER_RATE,
      paramLabel = "RATE",
      description = "Peak learning rate of adapters (default: ${DEFAULT-VALUE}).")
  double adapterLearningRate;

  @Option(
      names = "--head-learning-rate",
      paramLabel = "RATE",
      description =
          "Peak learning rate of the task head in the training; before that it is fitted, which has no rate (default: ${DEFAULT-VALUE}).")
  double headLearningRate;

  @Option(
      names = ENCODER_RATE,
      paramLabel = "RATE",
      description =
          "Peak learning rate of the encoder's own weights, in full fine-tuning (default: ${DEFAULT-VALUE}).")
  double encoderLearningRate;

  @Option(
      names = "--weight-decay",
      paramLabel = "DECAY",
      description = "Decoupled weight decay of all trained weights (default: ${DEFAULT-VALUE}).")
  double weightDecay;

  @Option(
      names = "--max-grad-norm",
      paramLabel = "NORM",
      description =
          "Gradients are scaled down to this norm over all trained weights; 0: never (default: ${DEFAULT-VALUE}).")
  double maxGradNorm;

  @Option(
      names = "--label-smoothing-factor",
      paramLabel = "SHARE",
      description =
          "Share of each label that is spread over all classes (default: ${DEFAULT-VALUE}).")
  double labelSmoothing;

  @Option(
      names = WARMUP_RATIO,
      paramLabel = "SHARE",
      description =
          "Share of the steps over which the learning rate rises; of a short training at least 20 steps or a third, unless it is 0 (default: ${DEFAULT-VALUE}).")
  double warmupRatio;

  @Option(
      names = WARMUP_STEPS,
      paramLabel = "N",
      description =
          "Steps over which it rises, instead of a share; 0: the share holds (default: ${DEFAULT-VALUE}).")
  int warmupSteps;

  @Option(
      names = "--lr-scheduler-type",
      paramLabel = "TYPE",
      description = "How it goes then: constant, linear or cosine (default: ${DEFAULT-VALUE}).")
  String schedule;

  @Option(
      names = "--early-stopping-patience",
      paramLabel = "EPOCHS",
      description =
          "Epochs without a better validation result after which the training ends; 0: it goes on to the last (default: ${DEFAULT-VALUE}).")
  int earlyStoppingPatience;

  @Option(
      names = "--activation-cache-mb",
      paramLabel = "MB",
      description =
          "Memory for each data set in which the outputs of layers below the lowest module are kept from epoch to epoch; 0: none (default: ${DEFAULT-VALUE}).")
  int activationCacheMegabytes;

  @Option(
      names = "--activation-cache-half",
      description = "Keep them as float16: half the memory, rounded once.")
  boolean activationCacheHalf;

  @Option(
      names = "--non-finite",
      paramLabel = "WHAT",
      description =
          "What becomes of a step whose loss or gradient is NaN or infinite: ${COMPLETION-CANDIDATES}; stop names the step, its examples and the first module, skip changes no weight (default: ${DEFAULT-VALUE}).")
  NonFinite nonFinite;

  /** Puts in place what is in effect; the rate of all is then no longer set. */
  void settle(CommandSpec command) {
    loraLearningRate = rate(LORA_RATE, loraLearningRate, command);
    adapterLearningRate = rate(ADAPTER_RATE, adapterLearningRate, command);
    encoderLearningRate = rate(ENCODER_RATE, encoderLearningRate, command);
    rate = null;
    if (ConfigFile.isTypedInstead(WARMUP_RATIO, WARMUP_STEPS, command)) {
      warmupSteps = 0;
    }
  }

  private double rate(String option, double own, CommandSpec command) {
    boolean ownHolds =
        ConfigFile.isNamed(option, command) && !ConfigFile.isTypedInstead(RATE, option, command);
    return rate == null || ownHolds ? own : rate;
  }
}
