package org.prunepeft.run;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.Example;
import org.prunepeft.data.PairEncoding;
import org.prunepeft.data.Task;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.sampling.Stratified;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.kernels.ProcessMemory;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.peft.ModuleSettings;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.RunPhase;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.LibraryLoading;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.DecisionThreshold;
import org.prunepeft.train.loop.Checkpoints;
import org.prunepeft.train.loop.Owned;
import org.prunepeft.train.loop.StepListener;
import org.prunepeft.train.loop.Trainer;

/**
 * A model, a tokenised task and a head, fitted or a language model's own: what a search and every
 * training start from.
 */
public final class Session implements AutoCloseable {
  public final Setup setup;
  public final ProgressListener progress;
  final Dataset dataset;

  /** What its files held; none where no run directory keeps it. */
  final List<FileChecksum> data;

  /** What the model's files held. */
  final List<FileChecksum> modelFiles;

  final EncodedDataset train;
  final EncodedDataset validation;
  final EncodedDataset test;
  final Encoder encoder;
  public final SearchSpace space;

  /** As it was given, on the model. */
  private final Setup whole;

  /** Of the setup as it was given, of which a budget is a share. */
  final long supernetParameters;

  public final Trainer trainer;
  public final Baseline baseline;

  /** How much an example of each class counts, 1 in the mean; null: all the same. */
  final double[] classWeights;

  /** Of the CPU; null: it is computed elsewhere. */
  final MemoryPlan memory;

  final double preparationSeconds;

  /** What its phases take. */
  public final Phases phases = new Phases();

  private final TrainingNames names = new TrainingNames();

  /** Whose the encoder is; null: this session's. */
  final RunsTogether together;

  private final Owned owned = new Owned();

  /**
   * @param together with which runs it shares the encoder; null: it is alone
   * @param checkpoints of the run
   * @param onModel gives the setup what suits the model
   * @param demand says of the search space what is trained of it at most, and throws before the
   *     long work if a setting does not fit it
   */
  public Session(
      Setup setup,
      ProgressListener progress,
      RunsTogether together,
      Checkpoints checkpoints,
      BiFunction<Setup, EncoderConfig, Setup> onModel,
      Function<SearchSpace, Demand> demand) {
    this.progress = progress;
    this.together = together;
    checkpoints.add("phases", phases::exchange);
    phases.begin(RunPhase.PREPARATION);
    Models.KnownModel model = Models.byName(setup.model());
    Task task = setup.resolveTask();
    try (LibraryLoading libraries = LibraryLoading.begin()) {
      data = setup.output() == null ? List.of() : RunData.of(task);
      dataset = task.load(setup.sizes(), setup.seed(), setup.testSeed());
      RunData.requireUnchanged(data);
      double[] targets = dataset.train().stream().mapToDouble(Example::target).toArray();
      classWeights = setup.training().classWeights().of(dataset.schema(), targets);
      if (setup.training().tuneThreshold()) {
        DecisionThreshold.requireTwo(dataset.labels().size());
      }
      DataNotes.of(dataset, setup.sizes()).forEach(progress::message);
      libraries.await();
    }
    PairEncoding pairs =
        setup
            .pairEncoding()
            .resolve(dataset.schema().textColumns() == 2, model.loader().sentenceEncoder());
    Torch.setThreads(setup.threads());
    if (pairs != setup.pairEncoding() && pairs == PairEncoding.SEPARATE) {
      progress.message(
          "pairs: each text by itself, as %s is a sentence encoder".formatted(model.name()));
    }
    progress.started("load " + model.name(), "", 0);
    ComputeDevice device = ComputeDevice.parse(setup.device());
    PeakMemory.of(device).ifPresent(phases::on);
    if (setup.device().equals("auto")) {
      String reason = ComputeDevice.cudaAbsence().map(why -> " (" + why + ")").orElse("");
      progress.message("device auto: " + device + reason);
    }
    Function<EncoderConfig, TrainingShape> shape =
        config -> {
          Setup suited = onModel.apply(setup, config);
          return TrainingShape.of(
              suited,
              config,
              demand.apply(suited.peft().space(config)),
              dataset,
              (long) (together == null ? 1 : together.count())
                  * (pairs == PairEncoding.SEPARATE ? 2 : 1),
              together != null);
        };
    Optional<EncoderConfig> known = Models.directoryConfig(setup.model());
    if (!device.isCuda()) {
      Bfloat16Speed.warning(setup.precision()).ifPresent(progress::message);
      // Of a directory that is known before its weights are read.
      known.map(shape).flatMap(MemoryPlan::requireFits).ifPresent(progress::message);
    }
    Models.LoadedModel loaded =
        together == null
            ? load(setup, model, device)
            : together.model(() -> load(setup, model, device));
    encoder = loaded.encoder();
    owned.add(together == null ? encoder : null);
    modelFiles = loaded.files();
    try {
      requireLength(setup.training().maxLength(), encoder.config().maxTokens());
      if (together != null) {
        RunsTogether.requireSuits(
            encoder.config(), setup.lora() != null || !setup.modules().isEmpty());
      }
      Setup own = onModel.apply(setup, encoder.config());
      space = own.peft().space(encoder.config());
      whole = setup.on(encoder.config());
      supernetParameters = whole.peft().space(encoder.config()).totalParameters();
      TrainingShape trained = shape.apply(encoder.config());
      memory = device.isCuda() ? null : MemoryPlan.of(trained);
      if (memory != null) {
        if (known.isEmpty()) {
          MemoryPlan.requireFits(trained).ifPresent(progress::message);
        }
        progress.message(memory.text());
      }
      progress.started("tokenise " + dataset.name(), "", 0);
      TaskEncoding encoding =
          owned.add(
              new TaskEncoding(
                  dataset, loaded, setup.training(), pairs, this::requireNotCancelled));
      train = encoding.train();
      validation = encoding.validation();
      test = encoding.test();
      encoding.notes().forEach(progress::message);
      this.setup =
          counted(own, train.size())
              .withPairEncoding(pairs)
              .withModuleSettings(ModuleSettings.of(own.furtherTypes()));
      trainer =
          owned.add(
              new Trainer(
                  encoder,
                  setup.training(),
                  together == null ? null : together.inStep(),
                  checkpoints));
      checkpoints.add("work", trainer.flop()::exchange);
      baseline = Baseline.of(this, owned, checkpoints);
      preparationSeconds = phases.end(RunPhase.PREPARATION);
      if (!device.isCuda()) {
        if (!trained.full() && !trained.dense()) {
          encoder.keepPreparedAlone();
        }
        ProcessMemory.giveBack();
      }
    } catch (RuntimeException | Error e) {
      owned.closeAfter(e);
      throw e;
    }
  }

  private Models.LoadedModel load(Setup setup, Models.KnownModel model, ComputeDevice device) {
    Models.Loader loader =
        dataset.schema().kind() == TaskKind.LANGUAGE_MODELING
            ? model.loader()
            : model.loader().withoutLogits();
    return loader.load(setup.precision(), setup.quantization(), device);
  }

  /** With the number of steps, where LoRA's settings go by it. */
  private static Setup counted(Setup setup, int examples) {
    return setup.lora() == null
        ? setup
        : setup.withLora(setup.lora().withSteps(steps(setup, examples, setup.epochs())));
  }

  private static long steps(Setup setup, int examples, int epochs) {
    long perStep =
        (long) setup.training().batchSize() * setup.training().gradientAccumulationSteps();
    return epochs * ((examples + perStep - 1) / perStep);
  }

  /** Refuses a training of so many epochs if it has too few steps for LoRA's settings. */
  void requireSteps(int epochs) {
    if (setup.lora() != null) {
      setup.lora().withSteps(steps(setup, train.size(), epochs));
    }
  }

  private static void requireLength(int maxLength, int maxTokens) {
    if (maxLength > maxTokens) {
      throw new IllegalArgumentException(
          "the longest sequence must have at most the model's "
              + maxTokens
              + " tokens, got "
              + maxLength);
    }
  }

  /** {@return the setup with modules of the sizes that they had before any were made smaller} */
  Setup wholeSetup() {
    return setup.with().lora(whole.lora()).adapter(whole.adapter()).build();
  }

  /** Asks whether the run shall end; of what goes on meanwhile. */
  void requireNotCancelled() {
    if (progress.cancelled()) {
      throw new CancellationException("cancelled");
    }
  }

  PeftModules modules(List<Candidate> candidates) {
    return modules(setup, candidates);
  }

  PeftModules modules(Setup sized, List<Candidate> candidates) {
    return new PeftModules(sized.peft(), encoder.config(), candidates, encoder.device());
  }

  /**
   * A part of the training set with its distribution of labels; all of it if it has no more than n
   * examples.
   */
  public EncodedDataset sample(String name, int n) {
    if (n >= train.size()) {
      return train;
    }
    long seed = Seeds.derive(setup.seed(), "sample/" + name);
    TaskKind kind = dataset.schema().kind();
    return train.subset(
        kind == TaskKind.LANGUAGE_MODELING
            // Of packed rows, which are not the data set's examples.
            ? Stratified.sample(train.size(), n, seed)
            : Stratified.sample(dataset.train(), kind, n, seed));
  }

  /** Shows a training's steps. */
  public StepListener follow(String kind, int steps, MetricsLog log) {
    String name = names.next(kind);
    progress.started(name, "steps", steps);
    return new TrainingFollower(progress, log, name, dataset);
  }

  @Override
  public void close() {
    owned.close();
  }
}
