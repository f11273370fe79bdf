package org.prunepeft.cli;

import java.util.List;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How modules and head are trained, in the names of Hugging Face. */
@OptionsOf({Setup.class, TrainingSettings.class})
final class TrainingOptions {
  static final String BATCH_SIZE = "--batch-size";
  static final String PACKING = "--packing";
  private static final String LABEL_SMOOTHING = "--label-smoothing-factor";
  private static final String MAX_NEW_TOKENS = "--max-new-tokens";
  private static final String RATE = "--learning-rate";
  private static final String LORA_RATE = "--lora-learning-rate";
  private static final String ADAPTER_RATE = "--adapter-learning-rate";
  static final String ENCODER_RATE = "--encoder-learning-rate";
  private static final String WARMUP_RATIO = "--warmup-ratio";
  private static final String WARMUP_STEPS = "--warmup-steps";

  @Option(
      names = {"--epochs", "--num-train-epochs"},
      paramLabel = "N",
      description =
          "Training epochs, in a search those of the final training; the weights of the epoch with the best validation metric are kept (default: ${DEFAULT-VALUE}).")
  int epochs;

  @Option(
      names = {BATCH_SIZE, "--per-device-train-batch-size"},
      paramLabel = "N",
      description =
          "Batch size: examples in one forward and backward pass (default: ${DEFAULT-VALUE}, of a"
              + " language model's rows "
              + TrainingSettings.DEFAULT_TEXT_ROWS
              + ").")
  int batchSize;

  @Option(
      names = "--gradient-accumulation-steps",
      paramLabel = "N",
      description =
          "Gradient accumulation: batches per optimiser step (default: ${DEFAULT-VALUE}).")
  int gradientAccumulationSteps;

  @Option(
      names = "--precision",
      paramLabel = "TYPE",
      description =
          "Data type of frozen weights and activations: ${COMPLETION-CANDIDATES}; trained weights are always float32 (default: ${DEFAULT-VALUE}).")
  Precision precision;

  @Option(
      names = "--quantize",
      paramLabel = "TYPE",
      description =
          "Quantization of the frozen weights of the layers, as load_in_8bit (int8) and load_in_4bit (nf4) of bitsandbytes: ${COMPLETION-CANDIDATES}; auto leaves them as the checkpoint has them, none reads them as floats (default: ${DEFAULT-VALUE}).")
  Quantization quantization;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description =
          "Device to compute on: cpu, cuda, cuda:N, or auto, a GPU if one can be used (default: ${DEFAULT-VALUE}).")
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
          "Peak learning rate of LoRA and adapters, and of the encoder in full fine-tuning; --lora-learning-rate, --adapter-learning-rate and --encoder-learning-rate override it.")
  Double rate;

  @Option(
      names = LORA_RATE,
      paramLabel = "RATE",
      description = "Peak learning rate of LoRA modules (default: ${DEFAULT-VALUE}).")
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
          "Peak learning rate of the task head; before the training the head is fitted on the frozen encoder, which needs no learning rate (default: ${DEFAULT-VALUE}).")
  double headLearningRate;

  @Option(
      names = ENCODER_RATE,
      paramLabel = "RATE",
      description =
          "Peak learning rate of the encoder's own weights in full fine-tuning (default: ${DEFAULT-VALUE}).")
  double encoderLearningRate;

  @Option(
      names = "--weight-decay",
      paramLabel = "DECAY",
      description =
          "Decoupled weight decay (as in AdamW) of all trained weights (default: ${DEFAULT-VALUE}).")
  double weightDecay;

  @Option(
      names = "--max-grad-norm",
      paramLabel = "NORM",
      description =
          "Gradient clipping: largest L2 norm of the gradients of all trained weights together; 0: no clipping (default: ${DEFAULT-VALUE}).")
  double maxGradNorm;

  @Option(
      names = LABEL_SMOOTHING,
      paramLabel = "SHARE",
      description =
          "Label smoothing: share of each label that is spread evenly over all classes (default: ${DEFAULT-VALUE}).")
  double labelSmoothing;

  @Option(
      names = "--class-weights",
      paramLabel = "WEIGHTS",
      description =
          "How much the examples of each class count in the loss: none (all the same), balanced (each class the same together), or a number for each class, such as 1,2.5, in the order of the labels (default: ${DEFAULT-VALUE}).")
  String classWeights;

  @Option(
      names = "--tune-threshold",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Of two classes: predict the second from the probability on that gives the best metric on validation data, instead of one half; the head's bias takes it in.")
  boolean tuneThreshold;

  @Option(
      names = PACKING,
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Of a language model: pack short training texts into rows of --max-seq-length tokens,"
              + " which attention does not cross (default: ${DEFAULT-VALUE}).")
  boolean packing;

  @Option(
      names = "--gradient-checkpointing",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Gradient checkpointing: keep each layer's input alone and compute the layer again in the"
              + " backward pass. Less memory, a third more time, the same gradients (default:"
              + " ${DEFAULT-VALUE}).")
  boolean gradientCheckpointing;

  @Option(
      names = MAX_NEW_TOKENS,
      paramLabel = "N",
      description =
          "Of a language model: the most tokens that are written as an answer, for the metric"
              + " exact_match (default: ${DEFAULT-VALUE}).")
  int maxNewTokens;

  @Option(
      names = WARMUP_RATIO,
      paramLabel = "SHARE",
      description =
          "Learning-rate warm-up as a share of the training steps: the learning rate rises linearly to its peak. At least 20 steps, or a third of a training of fewer than 60; 0: no warm-up. Step i of W, from 1, has i/W of the peak; Hugging Face's begins at 0, a step behind (default: ${DEFAULT-VALUE}).")
  double warmupRatio;

  @Option(
      names = WARMUP_STEPS,
      paramLabel = "N",
      description =
          "Learning-rate warm-up in steps, instead of --warmup-ratio; 0: --warmup-ratio decides (default: ${DEFAULT-VALUE}).")
  int warmupSteps;

  @Option(
      names = "--lr-scheduler-type",
      paramLabel = "TYPE",
      description =
          "Learning-rate schedule after the warm-up: constant (or constant_with_warmup, the same: each has the warm-up; Hugging Face's constant has none, which is --warmup-ratio 0 here), linear or cosine (default: ${DEFAULT-VALUE}).")
  String schedule;

  @Option(
      names = "--early-stopping-patience",
      paramLabel = "EPOCHS",
      description =
          "Early stopping: ends the training after this many epochs without a better validation metric; 0: never (default: ${DEFAULT-VALUE}).")
  int earlyStoppingPatience;

  @Option(
      names = "--activation-cache-mb",
      paramLabel = "MB",
      description =
          "Activation cache, in MB for each data set: keeps the outputs of the layers below the lowest module from epoch to epoch, since they do not change; 0: no cache (default: ${DEFAULT-VALUE}).")
  int activationCacheMegabytes;

  @Option(
      names = "--activation-cache-half",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Store the activation cache (--activation-cache-mb) as float16: half the memory, values rounded once.")
  boolean activationCacheHalf;

  @Option(
      names = "--non-finite",
      paramLabel = "WHAT",
      description =
          "What to do at a step whose loss or gradient is NaN or infinite: ${COMPLETION-CANDIDATES}; stop ends the run and names the step, its examples and the first module, skip leaves the weights as they are (default: ${DEFAULT-VALUE}).")
  NonFinite nonFinite;

  @Option(
      names = "--detect-anomaly",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "true|false",
      description =
          "Look at the activations of each step too, not at loss and gradient alone: by one more"
              + " forward pass, without dropout. What is NaN or infinite is then treated as --non-finite says"
              + " (default: ${DEFAULT-VALUE}).")
  boolean detectAnomaly;

  /**
   * Refuses options that were typed and have no effect on a task.
   *
   * @throws IllegalArgumentException if there is one
   */
  static void refuseIdle(Task task, CommandSpec command) {
    IdleOptions idle = new IdleOptions(command);
    String here = ", and the task is a " + task.kind().problemType() + "; leave it out";
    idle.refuse(
        task.kind() == TaskKind.REGRESSION, "%s is for classes" + here, List.of(LABEL_SMOOTHING));
    idle.refuse(
        task.kind() != TaskKind.LANGUAGE_MODELING,
        "%s is for what language models write" + here,
        List.of(MAX_NEW_TOKENS));
  }

  /** Puts in place what is in effect; the rate of all is then no longer set. */
  void settle(CommandSpec command) {
    loraLearningRate = rate(LORA_RATE, loraLearningRate, command);
    adapterLearningRate = rate(ADAPTER_RATE, adapterLearningRate, command);
    encoderLearningRate = rate(ENCODER_RATE, encoderLearningRate, command);
    rate = null;
    classWeights = String.join(ModuleOptions.BETWEEN, classWeights.split("\\s*,\\s*"));
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
