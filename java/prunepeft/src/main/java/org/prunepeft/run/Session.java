package org.prunepeft.run;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
import java.util.function.Consumer;
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
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.LibraryLoading;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.DecisionThreshold;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.HeadFit;
import org.prunepeft.train.head.LanguageModelHead;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.loop.Checkpoints;
import org.prunepeft.train.loop.Owned;
import org.prunepeft.train.loop.StepListener;
import org.prunepeft.train.loop.Trainer;
import org.prunepeft.train.pass.TrainingRun;

/**
 * A model, a tokenised task and a head, fitted or a language model's own: what a search and every
 * training start from.
 */
public final class Session implements AutoCloseable {
  /** What the training whose result is kept is called in metrics. */
  private static final String FINAL = "train";

  /** Names the draws of the final training. */
  private static final String FINAL_STAGE = "final";

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
  private final long supernetParameters;

  public final Trainer trainer;
  public final TaskHead head;

  /** Of the CPU; null: it is computed elsewhere. */
  final MemoryPlan memory;

  final Evaluation headTest;

  /** Null: there are no validation examples. */
  final Evaluation headValidation;

  final double preparationSeconds;

  /** What its phases take. */
  public final Phases phases = new Phases();

  private final TrainingNames names = new TrainingNames();

  /** What was computed before the final training. */
  double searchFlop;

  /**
   * What the training of a measured search's supernet took, validation apart; 0: there was none.
   */
  double supernetSeconds;

  /** What predicting the test examples with the trained modules took. */
  double testSeconds;

  /** Whose the encoder is; null: this session's. */
  private final RunsTogether together;

  private final Owned owned = new Owned();

  /** Of a setup as it is; see the other constructor. */
  public Session(
      Setup setup,
      ProgressListener progress,
      RunsTogether together,
      Checkpoints checkpoints,
      Function<SearchSpace, Demand> demand) {
    this(setup, progress, together, checkpoints, Setup::on, demand);
  }

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
    double[] classWeights;
    try (LibraryLoading libraries = LibraryLoading.begin()) {
      dataset = task.load(setup.sizes(), setup.seed(), setup.testSeed());
      double[] targets = dataset.train().stream().mapToDouble(Example::target).toArray();
      classWeights = setup.training().classWeights().of(dataset.schema(), targets);
      if (setup.training().tuneThreshold()) {
        DecisionThreshold.requireTwo(dataset.labels().size());
      }
      DataNotes.of(dataset, setup.sizes()).forEach(progress::message);
      data = setup.output() == null ? List.of() : RunData.of(task);
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
      TaskEncoding encoding = owned.add(new TaskEncoding(dataset, loaded, setup.training(), pairs));
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
      Baseline baseline =
          dataset.schema().kind() == TaskKind.LANGUAGE_MODELING
              ? untouched(checkpoints)
              : fitted(checkpoints, classWeights);
      head = baseline.head;
      headValidation = baseline.validation;
      headTest = baseline.test;
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

  /**
   * What trainings begin with, on the frozen encoder.
   *
   * @param validation null: there are no such examples
   */
  private record Baseline(TaskHead head, Evaluation validation, Evaluation test) {}

  private Baseline fitted(Checkpoints checkpoints, double[] classWeights) {
    List<HeadFit.Examples> pooled = poolFrozen(List.of(train, validation, test));
    checkpoints.add("frozen encoder", state -> requireSame(state, pooled));
    progress.started("fit the head", "", 0);
    Head fitted =
        owned.add(
            HeadFit.fit(
                pooled.get(0),
                pooled.get(1),
                dataset.schema(),
                encoder.device(),
                Pooling.of(encoder.config()),
                setup.training().labelSmoothing(),
                classWeights,
                Seeds.derive(setup.seed(), "head")));
    return new Baseline(
        fitted,
        validation.size() == 0 ? null : HeadFit.evaluate(fitted, pooled.get(1)),
        HeadFit.evaluate(fitted, pooled.get(2)));
  }

  /** Of a language model, which has no head to fit. */
  private Baseline untouched(Checkpoints checkpoints) {
    TaskHead own = owned.add(LanguageModelHead.of(encoder));
    progress.started("model without modules", "examples", (long) validation.size() + test.size());
    try (PeftModules none = modules(List.of())) {
      Evaluation validated = validation.size() == 0 ? null : untouched(own, none, validation, 0);
      Evaluation tested = untouched(own, none, test, validation.size());
      List<HeadFit.Examples> outputs =
          List.of(new HeadFit.Examples(tested.predictions().outputs(), test.targets(), 1));
      checkpoints.add("frozen encoder", state -> requireSame(state, outputs));
      return new Baseline(own, validated, tested);
    }
  }

  private Evaluation untouched(TaskHead own, PeftModules none, EncodedDataset set, int before) {
    return trainer.evaluate(
        none,
        own,
        set,
        done -> {
          requireNotCancelled();
          progress.progress(before + done, "");
        });
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
    if (setup.lora() == null) {
      return setup;
    }
    long perStep =
        (long) setup.training().batchSize() * setup.training().gradientAccumulationSteps();
    long steps = setup.epochs() * ((examples + perStep - 1) / perStep);
    return setup.withLora(setup.lora().withSteps(steps));
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

  /** What a head sees of the frozen encoder, computed once a data set. */
  private List<HeadFit.Examples> poolFrozen(List<EncodedDataset> sets) {
    long total = sets.stream().mapToLong(EncodedDataset::size).sum();
    progress.started("frozen encoder", "examples", total);
    List<HeadFit.Examples> pooled = new ArrayList<>();
    try (PeftModules none = modules(List.of())) {
      long before = 0;
      for (EncodedDataset set : sets) {
        long done = before;
        float[] outputs =
            trainer.features(
                none,
                set,
                count -> {
                  requireNotCancelled();
                  progress.progress(done + count, "");
                });
        pooled.add(new HeadFit.Examples(outputs, set.targets(), set.towers()));
        before += set.size();
      }
    }
    return pooled;
  }

  /**
   * A run that goes on needs the frozen encoder's outputs to the bit: those of another model, of
   * other data or of another processor are not.
   */
  private static void requireSame(StateExchange state, List<HeadFit.Examples> pooled) {
    String now = Checksum.of(pooled);
    String before = state.value("sha256", String.class, now);
    if (!before.equals(now)) {
      throw new IllegalArgumentException(
          "the frozen encoder's outputs are not those that the run began with: the model's files, the data, the processor or the libraries are others; go on where they are the same, or begin a new run");
    }
  }

  void requireNotCancelled() {
    if (progress.cancelled()) {
      throw new CancellationException("cancelled");
    }
  }

  PeftModules modules(List<Candidate> candidates) {
    return modules(setup, candidates);
  }

  private PeftModules modules(Setup sized, List<Candidate> candidates) {
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
    boolean language = dataset.schema().kind() == TaskKind.LANGUAGE_MODELING;
    long begun = System.nanoTime();
    return new StepListener() {
      private int done;
      private long tokens;
      private boolean noted;

      @Override
      public void read(long read) {
        tokens += read;
      }

      @Override
      public void step(int step, int of, double loss, double rate) {
        done = step;
        String shown = String.format(Locale.ROOT, "loss %.3f", loss);
        if (language) {
          shown +=
              String.format(
                  Locale.ROOT, ", %.0f tokens/s", tokens * 1e9 / (System.nanoTime() - begun));
        }
        progress.progress(step, shown);
        log.step(name, step, loss, rate);
        progress.metrics(name, step, Map.of("loss", loss, "learning_rate_factor", rate));
      }

      @Override
      public void skipped(int step, int of, String reason) {
        done = step;
        progress.message(
            String.format(Locale.ROOT, "%s, step %d of %d left out: %s", name, step, of, reason));
      }

      @Override
      public void failed(String reason) {
        progress.message(name + " " + reason);
      }

      @Override
      public void epoch(int epoch, int epochs, double trainLoss, Evaluation evaluation) {
        log.epoch(name, epoch, trainLoss, evaluation);
        progress.metrics(name, done, MetricsLog.ofEpoch(trainLoss, evaluation));
        if (evaluation != null) {
          progress.message(
              String.format(
                  Locale.ROOT,
                  "%s, epoch %d of %d: training loss %.3f, validation %s",
                  name,
                  epoch,
                  epochs,
                  trainLoss,
                  evaluation.primaryText()));
          if (!noted) {
            Optional<String> note = EpochNotes.of(evaluation);
            note.ifPresent(progress::message);
            noted = note.isPresent();
          }
        }
      }

      @Override
      public boolean cancelled() {
        return progress.cancelled();
      }
    };
  }

  /**
   * What training a configuration leaves behind.
   *
   * @param encoder the encoder's own weights where they were trained; else null
   */
  public record Trained(
      PeftModules modules, TaskHead head, FlatParameters encoder, TrainOutcome outcome)
      implements AutoCloseable {
    @Override
    public void close() {
      modules.close();
      if (encoder != null) {
        encoder.close();
      }
      head.close();
    }
  }

  /**
   * Where a training begins.
   *
   * @param weights gives the modules to be trained trained weights
   * @param head trained with them
   * @param epochs of the training
   */
  record WarmStart(Consumer<PeftModules> weights, TaskHead head, int epochs) {}

  /**
   * Trains a configuration from new weights for the full number of epochs.
   *
   * @param full whether the encoder's own weights are trained too
   */
  public Trained train(List<Candidate> candidates, boolean full, MetricsLog log) {
    return train(setup, candidates, full, null, setup.epochs(), log);
  }

  /**
   * Trains a configuration.
   *
   * @param sized this setup, with other sizes of modules
   * @param candidates modules of that
   * @param full whether the encoder's own weights are trained too
   * @param warm where it begins, if that is no worse than no modules on validation data; null: with
   *     new weights
   * @param epochs if it begins with new weights
   */
  Trained train(
      Setup sized,
      List<Candidate> candidates,
      boolean full,
      WarmStart warm,
      int epochs,
      MetricsLog log) {
    if (candidates.isEmpty() && !full && head.parameters().count() == 0) {
      throw new IllegalArgumentException(
          "a language model without modules has nothing to train; name modules, such as --modules"
              + " supernet");
    }
    FlatParameters own = full ? encoder.trainable() : null;
    PeftModules modules = modules(sized, candidates);
    TaskHead trainedHead = head.copy();
    try {
      Start start = start(warm, epochs, modules, trainedHead);
      if (own != null) {
        trainedHead.dropVanishing();
      }
      TrainingRun run =
          new TrainingRun(
              modules,
              trainedHead,
              train,
              start.epochs,
              Seeds.derive(setup.seed(), FINAL_STAGE),
              validation,
              // Of full fine-tuning the weights are wanted, whatever no modules give.
              own == null ? start.validation : null,
              1,
              false,
              own);
      return new Trained(modules, trainedHead, own, train(run, log));
    } catch (RuntimeException | Error e) {
      new Trained(modules, trainedHead, own, null).close();
      throw e;
    }
  }

  /** How many epochs follow, and what the weights that they begin with give on validation data. */
  private record Start(int epochs, Evaluation validation) {}

  /** Takes the warm start's weights if they are no worse than no modules, else new ones. */
  private Start start(WarmStart warm, int epochs, PeftModules modules, TaskHead trainedHead) {
    if (warm != null) {
      warm.weights.accept(modules);
      trainedHead.copyWeights(warm.head);
      if (headValidation == null) {
        return new Start(warm.epochs, null);
      }
      Evaluation validated = trainer.evaluate(modules, trainedHead, validation);
      if (validated.primary() >= headValidation.primary()) {
        return new Start(warm.epochs, validated);
      }
      progress.message(
          "the supernet's weights are worse than no modules, %s and %s on validation data: the training begins with new ones"
              .formatted(validated.primaryText(), headValidation.primaryText()));
      trainedHead.copyWeights(head);
    }
    // Adapters' random weights cost a regression or a language model more than it regains.
    modules.initialise(
        setup.seed(), FINAL_STAGE, dataset.schema().kind() != TaskKind.CLASSIFICATION);
    return new Start(epochs, headValidation);
  }

  private TrainOutcome train(TrainingRun run, MetricsLog log) {
    phases.begin(RunPhase.TRAINING);
    searchFlop = trainer.flop().total();
    Trainer.Result result = trainer.train(run, follow(FINAL, trainer.steps(run), log));
    double trainingSeconds = phases.end(RunPhase.TRAINING);
    if (result.epochs() < run.epochs()) {
      progress.message(
          String.format(
              Locale.ROOT,
              "stopped early, after epoch %d of %d: none was better than epoch %d",
              result.epochs(),
              run.epochs(),
              result.bestEpoch()));
    }
    if (result.bestEpoch() == 0) {
      if (run.start() == headValidation) {
        // It had no modules, and adapters' first weights have an effect.
        run.modules().initialise(setup.seed(), FINAL_STAGE, true);
      }
      progress.message(
          "no epoch was better than what it began with, "
              + result.validation().primaryText()
              + " on validation data, which is kept; lower the learning rates, or train on more");
    }
    boolean tuned = setup.training().tuneThreshold() && result.validation() != null;
    if (tuned) {
      tuneThreshold(run, result.validation());
    }
    progress.started("test", "", 0);
    // The head's own result came from larger batches: its last bits may be others.
    Evaluation validated =
        result.bestEpoch() == 0 || tuned
            ? trainer.evaluate(run.modules(), run.head(), validation)
            : result.validation();
    long begun = System.nanoTime();
    Evaluation tested = trainer.evaluate(run.modules(), run.head(), test);
    testSeconds = seconds(begun);
    log.test(FINAL, tested);
    progress.metrics(FINAL, trainer.steps(run), MetricsLog.of("test", tested));
    boolean full = run.encoder() != null;
    return new TrainOutcome(
        run.modules().candidates(),
        full ? run.encoder().count() : run.modules().count(),
        full,
        supernetParameters,
        headTest,
        validated,
        tested,
        result.bestEpoch(),
        result.epochs(),
        preparationSeconds,
        trainingSeconds);
  }

  /** {@return what configurations take on this machine, once the final training is over} */
  MachineTimes times(TrainOutcome outcome) {
    MachineTimes.Work work =
        new MachineTimes.Work(
            encoder.config(),
            train.tokens(),
            validation.size(),
            setup.epochs(),
            setup.training().keepsActivations(setup.epochs()));
    if (together != null) {
      return MachineTimes.unknown(work);
    }
    return MachineTimes.of(
        work,
        new MachineTimes.Taken(
            outcome.modules(),
            outcome.epochs(),
            outcome.trainingSeconds(),
            testSeconds,
            test.size(),
            supernetSeconds,
            supernetSeconds > 0 ? searchFlop : 0));
  }

  private void tuneThreshold(TrainingRun run, Evaluation validated) {
    DecisionThreshold threshold =
        DecisionThreshold.choose(
            validated.primaryMetric(), validated.predictions(), validation.targets());
    ((Head) run.head()).lower(1, threshold.margin());
    progress.message(
        "decision threshold: '%s' is predicted from a probability of %s, which was best on validation data; the head's bias has it, so that this is one half now"
            .formatted(dataset.labels().get(1), threshold));
  }

  public static double seconds(long startNanos) {
    return (System.nanoTime() - startNanos) / 1e9;
  }

  @Override
  public void close() {
    owned.close();
  }
}
