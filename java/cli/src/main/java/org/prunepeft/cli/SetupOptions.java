package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.RunData;
import org.prunepeft.Setup;
import org.prunepeft.data.Columns;
import org.prunepeft.data.DataException;
import org.prunepeft.data.DataFiles;
import org.prunepeft.data.DatasetDirectory;
import org.prunepeft.data.Metric;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.NonLinearity;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.Schedule;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

/** Options that search and train share, in PEFT's and Hugging Face's names where they have one. */
final class SetupOptions {
  @ArgGroup(validate = false, heading = "%nModel and data:%n")
  private Data data = new Data();

  @ArgGroup(validate = false, heading = "%nYour own files (TSV, CSV, JSON Lines or Parquet):%n")
  private Files files = new Files();

  private static final String MODULES = "%nModules:%n";

  @ArgGroup(validate = false, heading = MODULES)
  private Modules modules = new Modules();

  @ArgGroup(validate = false, heading = "%nTraining:%n")
  private Training training = new Training();

  static final class Data {
    @Option(
        names = {"--model", "--model-name-or-path"},
        defaultValue = "minilm",
        description =
            "Pre-trained encoder: a name ('prunepeft models' lists them) or a Hugging Face directory (default: ${DEFAULT-VALUE}).")
    String model;

    @Option(
        names = {"--task", "--task-name"},
        description =
            "What to learn; see 'prunepeft tasks' (default: wordnet, unless a training file is named).")
    String task;

    @Option(
        names = {"--data", "--data-dir"},
        paramLabel = "DIR",
        description = "Directory of GLUE's files, for the tasks that are read from them.")
    Path directory;

    @Option(
        names = {"--train-examples", "--max-train-samples"},
        paramLabel = "N",
        description = "Training examples (default: 4000; of files all).")
    Integer trainExamples;

    @Option(
        names = {"--validation-examples", "--max-eval-samples"},
        paramLabel = "N",
        description =
            "Validation examples: they choose the best epoch (default: 1000; of files all, or a tenth of the training file).")
    Integer validationExamples;

    @Option(
        names = {"--test-examples", "--max-predict-samples"},
        paramLabel = "N",
        description =
            "Test examples (default: 2000; of files all, or a tenth of the training file).")
    Integer testExamples;

    @Option(
        names = "--max-seq-length",
        paramLabel = "TOKENS",
        description = "Longer texts are cut (default: 128, or the most that the model takes).")
    Integer maxLength;
  }

  static final class Files {
    @Option(
        names = "--dataset-name",
        paramLabel = "DIR",
        description =
            "A data set as Hugging Face's hub keeps it, in a directory: its parts are the files that are not named otherwise.")
    Path dataset;

    @Option(
        names = "--dataset-config-name",
        paramLabel = "NAME",
        description = "Which of its configurations, where it has several.")
    String datasetConfig;

    @Option(
        names = "--train-file",
        paramLabel = "FILE",
        description =
            "Examples to train on. Where no other file is named, a tenth each for validation and test is drawn from it, stratified.")
    Path train;

    @Option(
        names = "--validation-file",
        paramLabel = "FILE",
        description = "Examples that choose the best epoch.")
    Path validation;

    @Option(names = "--test-file", paramLabel = "FILE", description = "Examples to report on.")
    Path test;

    @ArgGroup(validate = false)
    ColumnOptions columns = new ColumnOptions();

    @Option(
        names = "--do-regression",
        arity = "0..1",
        fallbackValue = "true",
        defaultValue = "false",
        paramLabel = "true|false",
        description = "Labels are numbers to be told, not classes.")
    boolean regression;

    @Option(
        names = {"--metric", "--metric-name"},
        split = ",",
        paramLabel = "NAME",
        description =
            "What is measured; the first chooses the best epoch: accuracy, f1, macro_f1, matthews_correlation, accuracy_and_f1, or pearson, spearmanr, pearson_and_spearmanr (default: accuracy,macro_f1 or pearson,spearmanr).")
    List<String> metrics;

    /** Null if none are named. */
    DataFiles settle() {
      if (dataset != null) {
        resolve(new DatasetDirectory(dataset, datasetConfig));
      } else if (datasetConfig != null) {
        throw new IllegalArgumentException("--dataset-config-name needs --dataset-name");
      }
      if (train == null) {
        if (validation != null
            || test != null
            || columns.named()
            || regression
            || metrics != null) {
          throw new IllegalArgumentException(
              "options of files, such as --test-file and --text-column, need --train-file or --dataset-name");
        }
        return null;
      }
      DataFiles files =
          new DataFiles(
              train.toAbsolutePath(),
              validation == null ? null : validation.toAbsolutePath(),
              test == null ? null : test.toAbsolutePath(),
              columns.settle(Columns.DEFAULT),
              regression ? TaskKind.REGRESSION : TaskKind.CLASSIFICATION,
              metrics == null ? List.of() : metrics.stream().map(Metric::byKey).toList());
      metrics = files.metrics().stream().map(Metric::key).toList();
      return files;
    }

    private void resolve(DatasetDirectory found) {
      train = train == null ? found.train() : train;
      validation = validation == null ? found.validation() : validation;
      test = test == null ? found.test(columns.settle(Columns.DEFAULT)) : test;
    }
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
            "Projections that get LoRA: query, key, value, attention.output.dense, intermediate.dense, output.dense, or the model's own names; those of a layer are one module (default: ${DEFAULT-VALUE}).")
    List<String> targets;

    @Option(
        names = "--use-rslora",
        arity = "0..1",
        fallbackValue = "true",
        defaultValue = "false",
        paramLabel = "true|false",
        description = "The scale is alpha / √r: rank-stabilised LoRA.")
    boolean rsLora;

    @Option(
        names = "--use-dora",
        arity = "0..1",
        fallbackValue = "true",
        defaultValue = "false",
        paramLabel = "true|false",
        description = "Weight-decomposed LoRA: the magnitude of each output is trained apart.")
    boolean dora;

    @Option(
        names = "--use-adalora",
        arity = "0..1",
        fallbackValue = "true",
        defaultValue = "false",
        paramLabel = "true|false",
        description =
            "AdaLoRA: updates P·Λ·Q begin with --init-r singular values each and end with --target-r on average; --lora-r is not used.")
    boolean adaLora;

    @Option(
        names = "--init-r",
        defaultValue = "12",
        paramLabel = "R",
        description = "AdaLoRA: rank of each update at the start (default: ${DEFAULT-VALUE}).")
    int initR;

    @Option(
        names = "--target-r",
        defaultValue = "8",
        paramLabel = "R",
        description = "AdaLoRA: mean rank of the updates at the end (default: ${DEFAULT-VALUE}).")
    int targetR;

    @Option(
        names = "--tinit",
        defaultValue = "0",
        paramLabel = "STEPS",
        description = "AdaLoRA: steps before ranks shrink (default: ${DEFAULT-VALUE}).")
    int tinit;

    @Option(
        names = "--tfinal",
        defaultValue = "0",
        paramLabel = "STEPS",
        description =
            "AdaLoRA: last steps, in which ranks stay; only epochs from there on can be the best (default: ${DEFAULT-VALUE}).")
    int tfinal;

    @Option(
        names = "--deltaT",
        defaultValue = "1",
        paramLabel = "STEPS",
        description =
            "AdaLoRA: steps from one choice of ranks to the next (default: ${DEFAULT-VALUE}).")
    int deltaT;

    @Option(
        names = "--beta1",
        defaultValue = "0.85",
        paramLabel = "BETA",
        description = "AdaLoRA: smoothing of the sensitivity (default: ${DEFAULT-VALUE}).")
    double beta1;

    @Option(
        names = "--beta2",
        defaultValue = "0.85",
        paramLabel = "BETA",
        description = "AdaLoRA: smoothing of its uncertainty (default: ${DEFAULT-VALUE}).")
    double beta2;

    @Option(
        names = "--orth-reg-weight",
        defaultValue = "0.5",
        paramLabel = "WEIGHT",
        description = "AdaLoRA: factor of the orthogonality penalty (default: ${DEFAULT-VALUE}).")
    double orthRegWeight;

    @Option(
        names = "--module-per-projection",
        arity = "0..1",
        fallbackValue = "true",
        defaultValue = "false",
        paramLabel = "true|false",
        description = "LoRA on each projection is a module of its own, kept or pruned apart.")
    boolean perProjection;

    @Option(
        names = "--adapter-size",
        defaultValue = "128",
        paramLabel = "M",
        description = "Bottleneck of the adapters; 0 leaves them out (default: ${DEFAULT-VALUE}).")
    int bottleneck;

    @Option(
        names = {"--reduction-factor", "--adapter-reduction-factor"},
        paramLabel = "FACTOR",
        description =
            "The bottleneck as AdapterHub says it, instead of --adapter-size: the model's hidden size by this.")
    Double reductionFactor;

    @Option(
        names = "--adapter-config",
        defaultValue = "pfeiffer",
        paramLabel = "NAME",
        description =
            "Where adapters sit: pfeiffer or seq_bn (after the feed-forward block), houlsby or double_seq_bn (two modules: after attention and after the feed-forward block), parallel or par_bn (beside the feed-forward block) (default: ${DEFAULT-VALUE}).")
    String style;

    @Option(
        names = {"--adapter-non-linearity", "--non-linearity"},
        defaultValue = "relu",
        paramLabel = "NAME",
        description =
            "What an adapter's bottleneck goes through: relu, gelu, swish or linear (default: ${DEFAULT-VALUE}).")
    String nonLinearity;

    @Option(
        names = "--adapter-scaling",
        paramLabel = "S",
        description = "Factor of what an adapter adds (default: 4 for parallel adapters, else 1).")
    Double scaling;

    /** Those of an earlier run, which may be more than options can say. */
    private Setup earlier;

    /** Puts an earlier run's modules in place of the options. */
    private void take(Setup run) {
      earlier = run;
      LoraConfig lora = run.lora();
      adaLora = lora != null && lora.adaLora() != null;
      rank = lora == null ? 0 : lora.rank();
      if (lora != null) {
        alpha = lora.alpha();
        dropout = lora.dropout();
        targets = lora.targets();
        rsLora = lora.rsLora();
        dora = lora.dora();
        perProjection = lora.perProjection();
      }
      if (adaLora) {
        AdaLoraConfig ranks = lora.adaLora();
        initR = ranks.initR();
        targetR = ranks.targetR();
        tinit = ranks.tinit();
        tfinal = ranks.tfinal();
        deltaT = ranks.deltaT();
        beta1 = ranks.beta1();
        beta2 = ranks.beta2();
        orthRegWeight = ranks.orthRegWeight();
      }
      AdapterConfig adapter = run.adapter();
      bottleneck = adapter == null ? 0 : adapter.bottleneck();
      reductionFactor = null;
      if (adapter != null) {
        style = adapter.style().toString();
        nonLinearity = NonLinearity.name(adapter.nonLinearity());
        scaling = adapter.scaling();
      }
    }

    /** Puts the adapters' size in place of a factor of the model's. */
    private void settle(String model) {
      if (reductionFactor == null) {
        return;
      }
      try (Models.Pretrained parts = Models.byName(model).loader().open()) {
        bottleneck = AdapterConfig.bottleneck(parts.config().hidden(), reductionFactor);
        reductionFactor = null;
      } catch (IOException e) {
        throw new UncheckedIOException(e.getMessage(), e);
      }
    }

    private LoraConfig lora() {
      if (earlier != null) {
        return earlier.lora();
      }
      if (rank == 0 && !adaLora) {
        return null;
      }
      LoraConfig lora =
          new LoraConfig(
              adaLora ? initR : rank,
              alpha,
              dropout,
              targets,
              rsLora,
              dora,
              perProjection,
              Map.of(),
              Map.of());
      return adaLora
          ? lora.withAdaLora(
              new AdaLoraConfig(
                  initR, targetR, tinit, tfinal, deltaT, beta1, beta2, orthRegWeight, 0))
          : lora;
    }

    private AdapterConfig adapter() {
      if (earlier != null) {
        return earlier.adapter();
      }
      AdapterConfig.Style named = AdapterConfig.Style.byName(style);
      return bottleneck == 0
          ? null
          : new AdapterConfig(
              bottleneck, NonLinearity.byName(nonLinearity), named, scaling, Map.of());
    }
  }

  static final class Training {
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
        names = "--learning-rate",
        paramLabel = "RATE",
        description =
            "Peak learning rate of LoRA and adapters, and of the encoder where all of it is trained; those that have an option of their own go by that.")
    Double rate;

    @Option(
        names = "--lora-learning-rate",
        paramLabel = "RATE",
        description = "Peak learning rate of LoRA (default: 1e-3).")
    Double loraRate;

    @Option(
        names = "--adapter-learning-rate",
        paramLabel = "RATE",
        description = "Peak learning rate of adapters (default: 1e-3).")
    Double adapterRate;

    @Option(
        names = "--head-learning-rate",
        defaultValue = "1e-2",
        paramLabel = "RATE",
        description = "Peak learning rate of the task head (default: ${DEFAULT-VALUE}).")
    double headRate;

    @Option(
        names = "--encoder-learning-rate",
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
        names = "--warmup-ratio",
        defaultValue = "0.06",
        paramLabel = "SHARE",
        description =
            "Share of the steps over which the learning rate rises (default: ${DEFAULT-VALUE}).")
    double warmupRatio;

    @Option(
        names = "--warmup-steps",
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

    TrainingSettings settings(int maxLength) {
      TrainingSettings.Builder settings =
          TrainingSettings.builder()
              .batchSize(batchSize)
              .gradientAccumulationSteps(accumulationSteps)
              .optimizer(OptimizerType.byName(optimizer))
              .headLearningRate(headRate)
              .weightDecay(weightDecay)
              .maxGradNorm(maxGradNorm)
              .labelSmoothing(labelSmoothing)
              .warmupRatio(warmupRatio)
              .warmupSteps(warmupSteps)
              .schedule(Schedule.byName(schedule))
              .earlyStoppingPatience(patience)
              .maxLength(maxLength)
              .activationCacheMegabytes(activationCache)
              .activationCacheHalf(activationCacheHalf);
      first(loraRate, rate).ifPresent(settings::loraLearningRate);
      first(adapterRate, rate).ifPresent(settings::adapterLearningRate);
      first(encoderRate, rate).ifPresent(settings::encoderLearningRate);
      return settings.build();
    }

    private static Optional<Double> first(Double own, Double common) {
      return Optional.ofNullable(own == null ? common : own);
    }
  }

  @Option(
      names = "--seed",
      defaultValue = "0",
      paramLabel = "N",
      description = "Seed of everything that is drawn (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--seeds",
      split = ",",
      paramLabel = "N",
      description =
          "Runs once for each of these seeds, instead of --seed, and gives mean and standard deviation: 0,1,2. The run directory holds a directory for each.")
  private List<Long> seeds;

  /** Where metrics go beside the run's own files. */
  enum ReportTo {
    NONE,
    TENSORBOARD
  }

  @Option(
      names = "--report-to",
      defaultValue = "none",
      paramLabel = "WHERE",
      description =
          "Where metrics go beside the run's own files: none, or tensorboard, as event files in the run directory (default: ${DEFAULT-VALUE}).")
  private ReportTo reportTo;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Threads of all native pools (default: the processors at hand).")
  private Integer threads;

  @Option(
      names = {"-o", "--output", "--output-dir"},
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
    if (data.maxLength == null) {
      data.maxLength =
          Math.min(
              TrainingSettings.DEFAULT.maxLength(),
              Models.maxTokens(data.model).orElse(Integer.MAX_VALUE));
    }
    modules.settle(data.model);
    DataFiles own = files.settle();
    if (own != null && data.task != null) {
      throw new IllegalArgumentException(
          "a task and a training file are two sources of data; leave out --task %s or --train-file"
              .formatted(data.task));
    }
    if (own != null && data.directory != null) {
      throw new IllegalArgumentException("files are named one by one; leave out --data");
    }
    if (own == null && data.task == null) {
      data.task = Setup.DEFAULT.task();
    }
    String task = own == null ? data.task : own.name();
    Setup setup =
        Setup.builder()
            .model(data.model)
            .task(task)
            .files(own)
            .data(data.directory == null ? null : data.directory.toAbsolutePath())
            .sizes(new SplitSizes(data.trainExamples, data.validationExamples, data.testExamples))
            .lora(modules.lora())
            .adapter(modules.adapter())
            .training(training.settings(data.maxLength))
            .epochs(training.epochs)
            .precision(training.precision)
            .device(training.device)
            .seed(seed)
            .threads(threads)
            .output(output == null ? defaultOutput(task) : output)
            .build();
    changes(setup).forEach(System.err::println);
    return setup;
  }

  /** What is other data now, where a run's own file runs it again. */
  private List<String> changes(Setup setup) {
    if (config == null || !config.endsWith(Runs.CONFIG)) {
      return List.of();
    }
    Path run = config.toAbsolutePath().getParent();
    try {
      return RunData.changes(run, setup.resolveTask());
    } catch (RunDirectoryException | DataException e) {
      // No complete run, or files that the run itself will miss.
      return List.of();
    }
  }

  /**
   * Takes the modules of an earlier run as they are there.
   *
   * @throws IllegalArgumentException if an option of theirs was named and says something else
   */
  void takeModules(Path run, CommandSpec command) {
    modules.style = AdapterConfig.Style.byName(modules.style).toString();
    modules.nonLinearity = NonLinearity.name(NonLinearity.byName(modules.nonLinearity));
    Map<OptionSpec, Object> named = new LinkedHashMap<>();
    for (OptionSpec option : command.options()) {
      boolean ofModules = option.group() != null && MODULES.equals(option.group().heading());
      if (ofModules && ConfigFile.isNamed(option, command)) {
        named.put(option, option.getValue());
      }
    }
    modules.take(Setup.ofRun(run));
    named.forEach(
        (option, value) -> {
          Object earlier = option.getValue();
          if (!value.equals(earlier)) {
            throw new IllegalArgumentException(
                "the modules of %s have %s %s, got %s; leave that option out"
                    .formatted(
                        run,
                        option.names()[0],
                        earlier == null ? "as it was there" : ConfigFile.plain(earlier),
                        value));
          }
        });
  }

  /** Null: there is one run. */
  List<Long> seeds() {
    return seeds;
  }

  /** One of several seeds: the options are then those of its run. */
  void take(long one) {
    seed = one;
    seeds = null;
  }

  boolean tensorBoard() {
    return reportTo == ReportTo.TENSORBOARD;
  }

  /** The options of the command in effect; read them with {@link #setup()} first. */
  static String yaml(CommandSpec command) {
    return ConfigFile.write(
        command,
        "To run this again: prunepeft %s --config THIS_FILE --output NEW"
            .formatted(command.name()));
  }

  private Path defaultOutput(String task) {
    String time = LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss-SSS"));
    // The name of the model or of its directory.
    String model = Models.byName(data.model).name();
    return Path.of("runs", model + "-" + task + "-" + time);
  }
}
