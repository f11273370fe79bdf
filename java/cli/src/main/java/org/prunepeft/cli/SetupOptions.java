package org.prunepeft.cli;

import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import org.prunepeft.Setup;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.train.Schedule;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** Options that search and train share, in PEFT's and Hugging Face's names where they have one. */
final class SetupOptions {
  @ArgGroup(validate = false, heading = "%nModel and data:%n")
  private Data data = new Data();

  @ArgGroup(validate = false, heading = "%nModules:%n")
  private Modules modules = new Modules();

  @ArgGroup(validate = false, heading = "%nTraining:%n")
  private Training training = new Training();

  static final class Data {
    @Option(
        names = "--model",
        defaultValue = "minilm",
        description = "Pre-trained encoder; see 'prunepeft models' (default: ${DEFAULT-VALUE}).")
    String model;

    @Option(
        names = "--task",
        defaultValue = "wordnet",
        description = "What to learn; see 'prunepeft tasks' (default: ${DEFAULT-VALUE}).")
    String task;

    @Option(
        names = "--train-examples",
        defaultValue = "4000",
        paramLabel = "N",
        description = "Training examples (default: ${DEFAULT-VALUE}).")
    int trainExamples;

    @Option(
        names = "--validation-examples",
        defaultValue = "1000",
        paramLabel = "N",
        description =
            "Validation examples: they choose the best epoch (default: ${DEFAULT-VALUE}).")
    int validationExamples;

    @Option(
        names = "--test-examples",
        defaultValue = "2000",
        paramLabel = "N",
        description = "Test examples (default: ${DEFAULT-VALUE}).")
    int testExamples;

    @Option(
        names = "--max-seq-length",
        defaultValue = "128",
        paramLabel = "TOKENS",
        description = "Longer texts are cut (default: ${DEFAULT-VALUE}).")
    int maxLength;
  }

  static final class Modules {
    @Option(
        names = {"--lora-r", "--lora-rank"},
        defaultValue = "32",
        paramLabel = "R",
        description = "Rank of LoRA; 0 leaves LoRA out (default: ${DEFAULT-VALUE}).")
    int rank;

    @Option(
        names = "--lora-alpha",
        defaultValue = "32",
        paramLabel = "ALPHA",
        description = "The scale of LoRA is alpha / r (default: ${DEFAULT-VALUE}).")
    double alpha;

    @Option(
        names = "--lora-dropout",
        defaultValue = "0.1",
        paramLabel = "P",
        description = "Dropout on LoRA's input (default: ${DEFAULT-VALUE}).")
    double dropout;

    @Option(
        names = "--target-modules",
        defaultValue = "query,value",
        split = ",",
        paramLabel = "NAME",
        description =
            "Projections that get LoRA; those of a layer are one module (default: ${DEFAULT-VALUE}).")
    List<String> targets;

    @Option(
        names = "--adapter-size",
        defaultValue = "128",
        paramLabel = "M",
        description =
            "Bottleneck of the serial adapters; 0 leaves them out (default: ${DEFAULT-VALUE}).")
    int bottleneck;
  }

  static final class Training {
    @Option(
        names = {"--epochs", "--num-train-epochs"},
        defaultValue = "8",
        paramLabel = "N",
        description = "Epochs of the training whose best is kept (default: ${DEFAULT-VALUE}).")
    int epochs;

    @Option(
        names = "--batch-size",
        defaultValue = "32",
        paramLabel = "N",
        description = "Examples a step (default: ${DEFAULT-VALUE}).")
    int batchSize;

    @Option(
        names = "--lora-learning-rate",
        defaultValue = "1e-3",
        paramLabel = "RATE",
        description = "Peak learning rate of LoRA (default: ${DEFAULT-VALUE}).")
    double loraRate;

    @Option(
        names = "--adapter-learning-rate",
        defaultValue = "1e-3",
        paramLabel = "RATE",
        description = "Peak learning rate of adapters (default: ${DEFAULT-VALUE}).")
    double adapterRate;

    @Option(
        names = "--head-learning-rate",
        defaultValue = "1e-2",
        paramLabel = "RATE",
        description = "Peak learning rate of the task head (default: ${DEFAULT-VALUE}).")
    double headRate;

    @Option(
        names = "--weight-decay",
        defaultValue = "0.01",
        paramLabel = "DECAY",
        description = "AdamW's weight decay (default: ${DEFAULT-VALUE}).")
    double weightDecay;

    @Option(
        names = "--warmup-ratio",
        defaultValue = "0.06",
        paramLabel = "SHARE",
        description =
            "Share of the steps over which the learning rate rises (default: ${DEFAULT-VALUE}).")
    double warmupRatio;

    @Option(
        names = "--lr-scheduler-type",
        defaultValue = "linear",
        paramLabel = "TYPE",
        description = "How it falls then: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    Schedule schedule;
  }

  @Option(
      names = "--seed",
      defaultValue = "0",
      paramLabel = "N",
      description = "Seed of everything that is drawn (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of all native pools (default: the processors at hand).")
  private Integer threads;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "Run directory, new or empty (default: runs/MODEL-TASK-TIME).")
  private Path output;

  @Option(
      names = ConfigFile.OPTION,
      paramLabel = "FILE",
      description =
          "YAML with options by their names, such as 'lora_r: 16'; what is on the command line goes before it. A run's config.yaml runs it again.")
  private Path config;

  /**
   * Also puts in place what has no fixed default, so that the options tell all that is in effect.
   */
  Setup setup() {
    if (threads == null) {
      threads = Runtime.getRuntime().availableProcessors();
    }
    return new Setup(
        data.model,
        data.task,
        new SplitSizes(data.trainExamples, data.validationExamples, data.testExamples),
        modules.rank == 0
            ? null
            : new LoraConfig(modules.rank, modules.alpha, modules.dropout, modules.targets),
        modules.bottleneck == 0
            ? null
            : new AdapterConfig(modules.bottleneck, AdapterConfig.DEFAULT.nonLinearity()),
        new TrainingSettings(
            training.batchSize,
            training.loraRate,
            training.adapterRate,
            training.headRate,
            training.weightDecay,
            training.warmupRatio,
            training.schedule,
            data.maxLength),
        training.epochs,
        seed,
        threads,
        output == null ? defaultOutput() : output);
  }

  /** The options of the command in effect; read them with {@link #setup()} first. */
  static String yaml(CommandSpec command) {
    return ConfigFile.write(
        command,
        "To run this again: prunepeft %s --config THIS_FILE --output NEW"
            .formatted(command.name()));
  }

  private Path defaultOutput() {
    String time = LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss-SSS"));
    return Path.of("runs", data.model + "-" + data.task + "-" + time);
  }
}
