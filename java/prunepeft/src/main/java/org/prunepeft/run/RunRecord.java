package org.prunepeft.run;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import org.prunepeft.data.Task;
import org.prunepeft.files.Appended;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.files.RunMark;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.UnresumableRunException;
import org.prunepeft.model.Models;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.report.Environment;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.report.RunPhase;
import org.prunepeft.report.SearchOutcome;
import org.prunepeft.report.TestPredictions;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.NotFiniteException;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.Strategy;
import org.prunepeft.search.measured.MeasuredResult;
import org.prunepeft.search.peer.PeerResult;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.GpuMemoryException;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.loop.Checkpoints;

/** Writes a run into its directory as it goes; a record without a directory writes nothing. */
public final class RunRecord {
  /** The name in checkpoints of a run that is alone. */
  private static final String ALONE = "run";

  private static final String METRICS = "metrics";

  /** In that part. */
  private static final String CRC = "crc32c";

  /** Of what a run's configuration is made. */
  static final String VERSIONS = "versions";

  static final String SETUP = "setup";
  static final String SEARCH = "search";
  static final String SELECTION = "selection";
  static final String ENCODER = "encoder";

  /** Null: nothing is written. */
  private final RunDirectory directory;

  /** Null: nothing is written. */
  private final CheckpointStore store;

  /** Whether the store is this run's alone. */
  private final boolean own;

  /** In the store; null: nothing is written. */
  private final CheckpointStore.OfRun parts;

  /** Of a run that goes on; else null. */
  private Task task;

  private RunRecord(RunDirectory directory, CheckpointStore store, String name, boolean own) {
    this.directory = directory;
    this.store = store;
    this.own = own;
    parts = store == null ? null : store.of(name);
  }

  /**
   * Makes the setup's run directory, if it names one, or opens it, if its run goes on.
   *
   * @param together with which runs it is trained, whose checkpoints are its own too; null: it is
   *     alone
   * @throws IllegalArgumentException if the model, the task or a module type is unknown; nothing is
   *     made then
   */
  public static RunRecord of(Setup setup, ProgressListener progress, RunsTogether together) {
    requireUsed(setup);
    Models.byName(setup.model());
    setup.resolveTask();
    setup.peft();
    if (setup.output() == null) {
      return new RunRecord(null, null, ALONE, true);
    }
    boolean alone = together == null || together.store() == null;
    CheckpointStore store = alone ? null : together.store();
    RunDirectory directory = null;
    try {
      directory = open(setup, !alone);
      progress.created(directory.path());
      directory.take(RunFiles.OPTIONS);
      if (alone) {
        store = new CheckpointStore(directory, setup.checkpoints());
      }
      RunRecord record =
          new RunRecord(directory, store, alone ? ALONE : name(setup.output()), alone);
      record.begin(setup, progress);
      return record;
    } catch (Throwable e) { // What listeners throw too, in languages that check no exceptions.
      failed(directory, e);
      if (!alone) {
        store.stop();
      } else if (store != null) {
        store.close();
      }
      throw e;
    }
  }

  /** Refuses what would have no effect beside the rest. */
  private static void requireUsed(Setup setup) {
    if (setup.files() != null && setup.data() != null) {
      throw new IllegalArgumentException(
          "own files are named one by one, and data is the directory of a named task; got files and data %s, leave out one of them"
              .formatted(setup.data()));
    }
    boolean checkpoints = setup.checkpoints().resume() || setup.checkpoints().steps() > 0;
    if (setup.output() == null && checkpoints) {
      throw new IllegalArgumentException(
          "checkpoints lie in the directory of a run, and this one has none; name an output, or leave out %s"
              .formatted(setup.checkpoints()));
    }
  }

  private static RunDirectory open(Setup setup, boolean together) {
    if (!setup.checkpoints().resume()) {
      return RunDirectory.create(setup.output());
    }
    RunsAlike.requireNoOthers(setup.output(), List.of());
    // Of runs together their checkpoint says where each goes on.
    return RunDirectory.resume(setup.output(), together);
  }

  private void begin(Setup setup, ProgressListener progress) {
    store.damaged().forEach(progress::message);
    if (setup.checkpoints().resume()) {
      task = setup.resolveTask();
      requireWhole();
      boolean checkpoint = parts.resumes(METRICS);
      if (checkpoint) {
        // With nothing else could its settings, data and model be compared.
        directory.requireLeft(RunFiles.CONFIG);
      } else {
        directory.truncate(RunFiles.METRICS, Appended.NOTHING);
      }
      progress.message(
          directory.path()
              + (checkpoint
                  ? " goes on from its last checkpoint"
                  : " has no checkpoint yet, and begins from its start"));
    }
    parts.add(METRICS, this::exchangeMetrics);
  }

  /** What the run keeps of those that it has written. */
  private void requireWhole() {
    directory.take(RunFiles.CONFIG);
    try {
      directory.readIfThere(RunFiles.CONFIG);
    } catch (DamagedRunException e) {
      throw new UnresumableRunException(e.getMessage());
    }
  }

  /** {@return what checkpoints call one of several runs} */
  static String name(Path output) {
    return output.getFileName().toString();
  }

  private void exchangeMetrics(StateExchange state) {
    Appended now = state.restoring() ? Appended.NOTHING : directory.force(RunFiles.METRICS);
    long length = state.value("length", Long.class, now.bytes());
    // Earlier versions kept the length alone.
    String crc = state.has(CRC) ? state.value(CRC, String.class, now.crc32c()) : null;
    if (state.restoring()) {
      directory.truncate(RunFiles.METRICS, new Appended(length, crc));
    }
  }

  /** {@return the checkpoints of this run} */
  public Checkpoints checkpoints() {
    return parts == null ? Checkpoints.NONE : parts;
  }

  private static void requireSame(List<String> changes, String what) {
    if (!changes.isEmpty()) {
      throw new UnresumableRunException(
          "%s; a run goes on with %s".formatted(String.join("; ", changes), what));
    }
  }

  /** Runs the work; if it fails, the directory says why and is not taken for a whole run. */
  public <T> T guard(Supplier<T> work) {
    try {
      if (task != null && directory != null && Files.exists(directory.file(RunFiles.CONFIG))) {
        requireSame(RunData.changes(directory, task), "the data that it began with");
      }
      return Interruption.cancelling(work);
    } catch (Throwable e) { // What listeners throw too, in languages that check no exceptions.
      failed(directory, e);
      if (!own) {
        store.stop();
      }
      throw e;
    } finally {
      if (own && store != null) {
        store.close();
      }
    }
  }

  /**
   * Says in a directory why its work has failed, and removes it if nothing was written.
   *
   * @param directory null: there is none
   */
  public static void failed(RunDirectory directory, Throwable e) {
    if (directory == null) {
      return;
    }
    if (e instanceof CancellationException) {
      directory.interrupt();
    } else {
      directory.fail(reason(e));
      directory.discardIfEmpty();
    }
  }

  /** Why work ended early, in a line. */
  private static String reason(Throwable e) {
    String reason = Objects.requireNonNullElse(GpuMemoryException.message(e), e.toString());
    return e instanceof DivergedException || e instanceof NotFiniteException
        ? RunMark.DIVERGED + reason
        : reason;
  }

  public MetricsLog metrics() {
    return directory == null
        ? MetricsLog.NONE
        : new MetricsLog(record -> directory.appendJsonLine(RunFiles.METRICS, record));
  }

  /** The configuration of a search as it is run. */
  public void configuration(Session session, SearchSettings settings, long budget) {
    Map<String, Object> config = common(SEARCH, session);
    config.put(SEARCH, settings);
    config.put("budget", budget);
    begin(session, config);
  }

  /** The configuration of a plain training as it is run. */
  public void configuration(Session session, ModuleChoice selection, List<Candidate> modules) {
    Map<String, Object> config = common("train", session);
    config.put(SELECTION, selection);
    if (selection.sizes() != null) {
      config.put(SETUP, session.wholeSetup());
    }
    begin(session, config);
    json(RunFiles.CONFIGURATION, modules(session, modules, selection.trainsEncoder()));
  }

  private void begin(Session session, Map<String, Object> config) {
    if (directory == null) {
      return;
    }
    RunConfig now = RunConfig.now(directory.path(), config);
    if (task != null) {
      RunsAlike.require(directory.path(), now);
    }
    if (Files.exists(directory.file(RunFiles.CONFIG))) {
      requireSame(now, session);
    } else {
      config.put(RunFiles.BEGAN, Instant.now().toString());
      json(RunFiles.CONFIG, config);
    }
    session.progress.directory(directory.path());
  }

  /** Of a run that goes on: settings and data have to be those that it began with. */
  private void requireSame(RunConfig now, Session session) {
    requireSame(
        ModelFiles.changes(directory, RunFiles.CONFIG, session.modelFiles),
        "the model that it began with");
    requireSame(
        PluginJars.changes(directory), "the plugins that it began with, which --plugins names");
    RunConfig before = RunConfig.of(directory);
    ConfigDifference.ofVersions(before, now)
        .ifPresent(
            versions ->
                session.progress.message(
                    "the run began with %s: its last bits may be others"
                        .formatted(versions.text("and goes on with"))));
    ConfigDifference.of(before, now, Set.of())
        .ifPresent(
            difference -> {
              throw new UnresumableRunException(
                  difference.ofSettings(directory.path(), "and now it would be"));
            });
  }

  private static Map<String, Object> common(String command, Session session) {
    Map<String, Object> config = RunDirectory.formatted();
    config.put("command", command);
    config.put(VERSIONS, Environment.versions());
    config.put(SETUP, session.setup);
    config.putAll(session.dataset.schema().toMap());
    config.put(ENCODER, session.encoder.config());
    ModelFiles.put(config, session.setup.model(), session.modelFiles);
    config.put(RunData.MEMBER, session.data);
    PluginJars.put(config);
    return config;
  }

  public void strategy(Strategy strategy) {
    json(RunFiles.STRATEGY, strategy.toMap());
  }

  /** A search has made its choice, which others may train before this run has. */
  public void pruning(Session session, PruningResult pruning) {
    json(RunFiles.ROUNDS, pruning.rounds());
    json(RunFiles.CONFIGURATION, modules(session.setup, pruning.kept()));
  }

  /** A supernet is trained, which later runs may take; before it is cut into slices. */
  void supernet(PeftModules modules, TaskHead head) {
    if (directory != null) {
      write(RunFiles.SUPERNET, StoredSupernet.weights(modules, head));
    }
  }

  /**
   * The same of a measured search.
   *
   * @param sized the setup with modules of the sizes that were chosen
   * @param kept modules of that
   */
  public void measured(MeasuredResult result, Setup sized, List<Candidate> kept) {
    json(RunFiles.MEASURED, result.toMap());
    json(RunFiles.CONFIGURATION, modules(sized, kept));
  }

  /** The same of a search that goes another way. */
  public void peer(Session session, PeerResult result) {
    json(RunFiles.PEER, result);
    json(RunFiles.CONFIGURATION, modules(session.setup, result.kept()));
  }

  /** The last of a search; the directory is whole afterwards. */
  public void complete(Session session, FinalTraining.Trained trained, SearchOutcome outcome) {
    if (directory == null) {
      return;
    }
    Map<String, Object> result = result(session, trained);
    result.put("search_flop", trained.searchFlop());
    result.put(RunPhase.WARM_UP.secondsMember(), outcome.warmUpSeconds());
    result.put(RunPhase.SEARCH.secondsMember(), outcome.roundSeconds());
    result.put("search_to_training_ratio", outcome.costRatio());
    finish(
        session,
        trained,
        result,
        Summary.of(session.setup, outcome, session.space, trained.times(), session.test.targets()));
  }

  /** The last of a plain training. */
  public void complete(Session session, FinalTraining.Trained trained, ModuleChoice selection) {
    if (directory == null) {
      return;
    }
    finish(
        session,
        trained,
        result(session, trained),
        Summary.of(
            session.setup, selection, trained.outcome(), session.space, session.test.targets()));
  }

  private void finish(
      Session session, FinalTraining.Trained trained, Map<String, Object> result, String summary) {
    write(RunFiles.ADAPTER, trained.modules().groups().values());
    if (trained.head().parameters().count() > 0) {
      write(RunFiles.HEAD, List.of(trained.head().parameters()));
    }
    if (trained.encoder() != null) {
      write(RunFiles.ENCODER, List.of(trained.encoder()));
    }
    directory.writeJsonLines(
        RunFiles.PREDICTIONS,
        TestPredictions.lines(
            session.dataset.test(),
            session.test.targets(),
            trained.outcome().test().predictions()));
    if (session.memory != null) {
      OptionalLong peak = session.phases.peak();
      result.put("memory", session.memory.toMap(peak));
      summary += session.memory.text(peak);
    }
    OptionalLong gpuPeak = session.phases.gpuPeak();
    if (gpuPeak.isPresent()) {
      summary += MemoryPlan.gpuText(gpuPeak.getAsLong());
    }
    directory.writeText(RunFiles.SUMMARY, summary);
    session.phases.putPeaks(result);
    // The only file that was appended to: a power cut would leave less than its checksum is of.
    directory.force(RunFiles.METRICS);
    Manifest.write(directory, RunFiles.RESULT, result, RunFiles.beforeResult(directory));
    directory.complete();
    if (own) {
      store.delete();
    } else {
      parts.complete();
    }
  }

  private void write(String name, Collection<FlatParameters> weights) {
    ParameterFile.write(directory.writable(name), weights);
  }

  /** The content of {@link RunFiles#CONFIGURATION} where the encoder itself may be trained. */
  private static Map<String, Object> modules(Session session, List<Candidate> kept, boolean full) {
    Map<String, Object> configuration = modules(session.setup, kept);
    configuration.put(RunFiles.FULL, full);
    return configuration;
  }

  /** The content of {@link RunFiles#CONFIGURATION} on a frozen encoder. */
  public static Map<String, Object> modules(Setup setup, List<Candidate> kept) {
    Map<String, Object> configuration = new LinkedHashMap<>();
    configuration.put("model", setup.model());
    configuration.put("task", setup.task());
    configuration.put("lora", setup.lora());
    configuration.put("adapter", setup.adapter());
    if (!setup.moduleSettings().isEmpty()) {
      configuration.put("module_settings", setup.moduleSettings());
    }
    configuration.put("trainable_parameters", Candidate.total(kept));
    configuration.put("modules", kept);
    return configuration;
  }

  private static Map<String, Object> result(Session session, FinalTraining.Trained trained) {
    TrainOutcome outcome = trained.outcome();
    Map<String, Object> result = RunDirectory.formatted();
    result.put("test", metrics(outcome.test()));
    result.put("validation", metrics(outcome.validation()));
    result.put("head_alone_test", metrics(outcome.head()));
    result.put("trainable_parameters", outcome.parameters());
    result.put("supernet_parameters", outcome.supernetParameters());
    result.put("best_epoch", outcome.bestEpoch());
    result.put("epochs", outcome.epochs());
    result.put("training_flop", session.trainer.flop().total() - trained.searchFlop());
    result.put(RunPhase.PREPARATION.secondsMember(), outcome.preparationSeconds());
    result.put(RunPhase.TRAINING.secondsMember(), outcome.trainingSeconds());
    return result;
  }

  private static Map<String, Object> metrics(Evaluation evaluation) {
    Map<String, Object> metrics = new LinkedHashMap<>();
    metrics.put("examples", evaluation.examples());
    metrics.put("loss", evaluation.loss());
    evaluation.metrics().forEach((metric, value) -> metrics.put(metric.key(), value));
    return metrics;
  }

  private void json(String name, Object value) {
    if (directory != null) {
      directory.writeJson(name, value);
    }
  }
}
