package org.prunepeft.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.PrunePeft;
import org.prunepeft.data.DataException;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.task.DataFiles;
import org.prunepeft.data.task.LanguageTask;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.model.Models;
import org.prunepeft.report.RunStatus;
import org.prunepeft.settings.Checkpointing;
import org.prunepeft.settings.Setup;
import org.prunepeft.text.Reason;
import org.prunepeft.text.ShellWords;
import org.prunepeft.torch.Threads;
import org.prunepeft.train.TrainingSettings;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

/** Options that search and train share, in PEFT's and Hugging Face's names where they have one. */
@OptionsOf(Setup.class)
final class SetupOptions {
  private static final String SEED = "--seed";
  private static final String SEEDS = "--seeds";
  private static final String TOGETHER = "--together";

  /** File systems take names of 255 bytes, of which some are the time's. */
  private static final int MOST_BYTES = 200;

  @ArgGroup(validate = false, heading = "%nModel and data:%n")
  private DataOptions data = new DataOptions();

  @ArgGroup(validate = false, heading = "%nYour own files (TSV, CSV, JSON Lines or Parquet):%n")
  private FileOptions files = new FileOptions();

  @ArgGroup(validate = false, heading = "%nTheir columns:%n")
  private ColumnOptions columns = new ColumnOptions();

  @ArgGroup(validate = false, heading = "%nConversations, for a language model:%n")
  private ChatOptions chat = new ChatOptions();

  private static final String MODULES = "%nModules:%n";

  @ArgGroup(validate = false, heading = MODULES)
  private ModuleOptions modules = new ModuleOptions();

  @Mixin private PluginOptions plugins;

  @ArgGroup(validate = false, heading = "%nTraining:%n")
  private TrainingOptions training = new TrainingOptions();

  @Option(
      names = SEED,
      paramLabel = "N",
      description =
          "Random seed of initial weights, dropout, shuffles and samples, but not of the test set (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--test-seed",
      paramLabel = "N",
      description =
          "Random seed of the test set, so that runs of any --seed share it (default: ${DEFAULT-VALUE}).")
  private long testSeed;

  @Option(
      names = SEEDS,
      split = ",",
      paramLabel = "N",
      description =
          "Random seeds, such as 0,1,2: one run for each, with mean and standard deviation, instead of --seed. The run directory holds a directory for each.")
  private List<Long> seeds;

  @Option(
      names = TOGETHER,
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description =
          "Train the runs of --seeds together: a step of all is one pass through the shared frozen encoder. For a GPU, which one small run does not fill.")
  private boolean together;

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
          "Where to log metrics besides the run's own files: none, or tensorboard, as event files in the run directory (default: ${DEFAULT-VALUE}).")
  private ReportTo reportTo;

  private static final String WATCH = "--watch";

  @Option(
      names = WATCH,
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "true|false",
      description =
          "Keep a page of charts, report.html in the run directory, up to date while the run goes on. It loads itself anew.")
  private boolean watch;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads (default: ${DEFAULT-VALUE}, the processors at hand).")
  private int threads;

  @Option(
      names = {"-o", "--output", "--output-dir"},
      paramLabel = "DIR",
      description = "Run directory, new or empty (default: runs/MODEL-TASK-TIME).")
  private Path output;

  @Option(
      names = ConfigFile.OPTION,
      paramLabel = "FILE",
      description =
          "YAML file of options by their names, such as 'lora_r: 16'; options on the command line override it. A run's config.yaml runs it again.")
  private Path config;

  static final String RESUME = "--resume";
  private static final String CHECKPOINT_STEPS = "--checkpoint-steps";

  @Option(
      names = RESUME,
      paramLabel = "RUN",
      description =
          "Resume an interrupted run from its last checkpoint, with the settings in its config.yaml; the result has the same bits as an uninterrupted run.")
  private Path resume;

  @Option(
      names = CHECKPOINT_STEPS,
      defaultValue = "0",
      paramLabel = "N",
      description =
          "Write a checkpoint every N training steps, or batches of the test, and at the start of each phase and epoch, besides those written from time to time; 0: from time to time and where phases and epochs start, as far as all of them take less than 1 %% of the time (default: ${DEFAULT-VALUE}).")
  private int checkpointSteps;

  /**
   * Also puts in place what has no fixed default, so that the options state all that is in effect.
   */
  Setup setup(CommandSpec command) {
    if (resume != null) {
      refuseOthers(command, resume);
      requireModel(resume);
      output = resume;
    }
    IdleOptions idle = new IdleOptions(command);
    idle.refuse(ConfigFile.isTyped(SEEDS, command), IdleOptions.beside(SEEDS), List.of(SEED));
    if (ConfigFile.isTypedInstead(SEED, SEEDS, command)) {
      seeds = null;
      together = false;
    }
    if (together && seeds == null) {
      throw new IllegalArgumentException(
          "%s is for the runs of several seeds; name them with %s 0,1,2"
              .formatted(TOGETHER, SEEDS));
    }
    // The run's files name it for a later time, which may begin elsewhere.
    data.model =
        Models.directory(data.model).map(Path::toString).orElse(Models.localName(data.model));
    modules.settle(data.model, command);
    training.settle(command);
    DataFiles own = files.settle(columns, Models.isDecoder(data.model), resume != null);
    boolean texts = own != null && own.kind() == TaskKind.LANGUAGE_MODELING;
    idle.refuse(
        !texts,
        "%s is for the texts of a language model; leave it out, or name a --train-file without labels and a decoder as --model",
        List.of(TrainingOptions.PACKING, DataOptions.TOO_LONG));
    own = withChat(own, command);
    if (texts && !ConfigFile.isNamed(TrainingOptions.BATCH_SIZE, command)) {
      training.batchSize = TrainingSettings.DEFAULT_TEXT_ROWS;
    }
    if (!ConfigFile.isNamed(DataOptions.MAX_LENGTH, command)) {
      data.maxLength =
          Math.min(
              texts ? TrainingSettings.DEFAULT_TEXT_LENGTH : data.maxLength,
              Models.maxTokens(data.model).orElse(Integer.MAX_VALUE));
    }
    if (own != null && ConfigFile.isNamed(DataOptions.TASK, command)) {
      throw new IllegalArgumentException(
          "a task and a training file are two sources of data; leave out --task %s or --train-file"
              .formatted(data.task));
    }
    if (own != null && data.directory != null) {
      throw new IllegalArgumentException("files are named one by one; leave out --data");
    }
    if (own != null) {
      data.task = null;
    }
    Setup setup =
        RecordOptions.fill(Setup.builder(), this, data, training)
            .files(own)
            .data(data.directory == null ? null : data.directory.toAbsolutePath())
            .sizes(new SplitSizes(data.trainExamples, data.validationExamples, data.testExamples))
            .lora(modules.lora())
            .adapter(modules.adapter())
            .modules(modules.types)
            .moduleSettings(modules.moduleSettings())
            .checkpoints(new Checkpointing(checkpointSteps, resume != null))
            .training(RecordOptions.fill(TrainingSettings.builder(), training, data).build())
            .build();
    TrainingOptions.refuseIdle(setup.resolveTask(), command);
    if (resume == null) {
      Threads.requireHere(setup.threads());
    }
    if (output == null) {
      setup = setup.withOutput(defaultOutput(setup.task()));
    }
    changes(setup).forEach(System.err::println);
    return setup;
  }

  /** The files, with the model's chat format if they have conversations. */
  private DataFiles withChat(DataFiles own, CommandSpec command) {
    if (own != null && hasConversations(own)) {
      Path model = Models.directory(data.model).orElse(Path.of(data.model));
      return own.withChat(chat.settle(model));
    }
    Optional<String> named = chat.named(command);
    if (named.isPresent()) {
      throw new IllegalArgumentException(
          "%s is for conversations; leave it out, or name a --train-file with a column messages, conversations, or prompt and completion, and a decoder as --model"
              .formatted(named.get()));
    }
    chat.leaveOutDate();
    return own;
  }

  /** The options of a run whose data they are name a date. */
  private boolean hasConversations(DataFiles own) {
    return resume == null
        ? LanguageTask.hasConversations(own)
        : own.kind() == TaskKind.LANGUAGE_MODELING && chat.isDated();
  }

  /** A run that is to go on may have been made with a directory that has moved since. */
  private void requireModel(Path run) {
    if (Files.exists(run.resolve(RunStatus.INCOMPLETE))
        && data.model.startsWith("/")
        && Files.notExists(Path.of(data.model))) {
      throw new RunDirectoryException(
          "the model directory %s of the run %s is not there; to resume the run, change 'model' in %s"
              .formatted(data.model, run, run.resolve(RunStatus.OPTIONS)));
    }
  }

  /** A run that goes on has the settings that it began with. */
  private static void refuseOthers(CommandSpec command, Path run) {
    for (OptionSpec option : command.commandLine().getParseResult().matchedOptions()) {
      String name = ConfigFile.name(option);
      if (!List.of(RESUME, CHECKPOINT_STEPS, WATCH, PluginOptions.PLUGINS).contains(name)) {
        throw new IllegalArgumentException(
            "a run goes on with the settings that it began with; leave out %s, or begin a new run with --config RUN/%s%s"
                .formatted(
                    name,
                    RunStatus.OPTIONS,
                    name.equals(DataOptions.MODEL)
                        ? "; if the run's model has moved, change 'model' in "
                            + run.resolve(RunStatus.OPTIONS)
                        : ""));
      }
    }
  }

  /**
   * The options of a run that is to go on.
   *
   * @param command that was given
   * @throws RunDirectoryException if there is no such directory
   * @throws UnresumableRunException if it has none: its run had not begun
   * @throws IllegalArgumentException if they are another command's
   */
  static Path optionsOf(Path run, CommandSpec command) {
    Path file = run.resolve(RunStatus.OPTIONS);
    if (!Files.exists(file)) {
      if (!Files.isDirectory(run)) {
        throw new RunDirectoryException("%s is not the directory of a run".formatted(run));
      }
      throw new UnresumableRunException(
          "%s has no %s: its run had not begun; begin it anew".formatted(run, RunStatus.OPTIONS));
    }
    String first;
    try {
      first = BoundedFile.firstLine(BoundedFile.regular(file));
    } catch (IOException e) {
      throw new UncheckedIOException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
    }
    for (String other : List.of("search", "train")) {
      if (!other.equals(command.name()) && first.contains(" " + other + " ")) {
        throw new IllegalArgumentException(
            "the run in %s is a %s; go on with: prunepeft %s --resume %s"
                .formatted(run, other, other, ShellWords.quoted(run.toString())));
      }
    }
    return file;
  }

  /** What is other data now, where a run's own file runs it again. */
  private List<String> changes(Setup setup) {
    if (config == null || !config.endsWith(RunStatus.OPTIONS)) {
      return List.of();
    }
    Path run = config.toAbsolutePath().getParent();
    if (!RunStatus.isOfComplete(run)) {
      return List.of();
    }
    try {
      return PrunePeft.dataChanges(run, setup.resolveTask());
    } catch (DataException e) {
      // The run itself will miss the file.
      return List.of();
    }
  }

  /**
   * Takes the modules of an earlier run as they are there. Options of theirs in a file may stand.
   *
   * @throws IllegalArgumentException if one was typed and comes to something else on the model
   */
  void takeModules(Path run, CommandSpec command) {
    List<OptionSpec> typed =
        command.options().stream()
            .filter(option -> option.group() != null && MODULES.equals(option.group().heading()))
            .filter(option -> ConfigFile.isTyped(option.names()[0], command))
            .toList();
    if (!typed.isEmpty()) {
      modules.resolve(data.model, command);
    }
    Map<OptionSpec, Object> said = new LinkedHashMap<>();
    typed.forEach(option -> said.put(option, ModuleOptions.comparable(option, command).getValue()));
    continueWith(run);
    said.forEach(
        (option, value) -> {
          OptionSpec compared = ModuleOptions.comparable(option, command);
          Object earlier = compared.getValue();
          if (!ModuleOptions.agree(option, value, earlier)) {
            throw new IllegalArgumentException(
                "the modules of %s have %s %s, got %s%s; leave that option out"
                    .formatted(
                        run,
                        compared.names()[0],
                        earlier == null ? "as it was there" : ConfigFile.plain(earlier),
                        value,
                        compared == option ? "" : " by " + option.names()[0]));
          }
        });
  }

  /** Takes the modules of an earlier run of the same options. */
  void continueWith(Path run) {
    modules.take(Setup.ofRun(run));
  }

  /** Whether a name is one of the types of modules that plugins have and that the run takes. */
  boolean hasType(String name) {
    return modules.types != null && modules.types.contains(name);
  }

  /** Null: there is one run. */
  List<Long> seeds() {
    return seeds;
  }

  /** Whether the runs of several seeds are trained together. */
  boolean together() {
    return together;
  }

  /** One of several seeds: the options are then those of its run. */
  void take(long one) {
    seed = one;
    seeds = null;
    together = false;
  }

  boolean watch() {
    return watch;
  }

  boolean tensorBoard() {
    return reportTo == ReportTo.TENSORBOARD;
  }

  /** The options of the command in effect; read them with {@link #setup} first. */
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
    return Path.of("runs", directoryName(model, task, time));
  }

  static String directoryName(String model, String task, String time) {
    return cut(model + "-" + task, MOST_BYTES) + "-" + time;
  }

  /** The beginning of a name, in whole characters, with so many bytes of UTF-8 at most. */
  private static String cut(String name, int bytes) {
    int end = name.length();
    while (name.substring(0, end).getBytes(StandardCharsets.UTF_8).length > bytes) {
      end = name.offsetByCodePoints(end, -1);
    }
    return name.substring(0, end);
  }
}
