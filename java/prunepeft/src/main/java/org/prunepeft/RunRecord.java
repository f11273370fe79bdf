package org.prunepeft;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.internal.RunDirectory;
import org.prunepeft.model.Models;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.PruningResult;
import org.prunepeft.search.Strategy;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.internal.Torch;
import org.prunepeft.train.Evaluation;

/** Writes a run into its directory as it goes; a record without a directory writes nothing. */
final class RunRecord {
  /** Files of a run directory. */
  static final String CONFIG = RunDirectory.CONFIG;

  static final String STRATEGY = "strategy.json";
  static final String ROUNDS = "rounds.json";
  static final String CONFIGURATION = "configuration.json";
  static final String METRICS = "metrics.jsonl";
  static final String RESULT = RunDirectory.RESULT;
  static final String ADAPTER = "adapter.safetensors";
  static final String HEAD = "head.safetensors";
  static final String ENCODER = "encoder.safetensors";
  static final String SUMMARY = "summary.md";

  /** Says in {@link #CONFIGURATION} whether the encoder's own weights were trained. */
  private static final String FULL = "full_fine_tuning";

  private final RunDirectory directory;

  private RunRecord(RunDirectory directory) {
    this.directory = directory;
  }

  /**
   * Makes the setup's run directory, if it names one.
   *
   * @throws IllegalArgumentException if the model or the task is unknown; nothing is made then
   */
  static RunRecord of(Setup setup) {
    Models.byName(setup.model());
    setup.resolveTask();
    return new RunRecord(setup.output() == null ? null : RunDirectory.create(setup.output()));
  }

  /** A piece of work. */
  @FunctionalInterface
  interface Work<T> {
    T run();
  }

  /** Runs the work; if it fails, the directory says why and is not taken for a whole run. */
  <T> T guard(Work<T> work) {
    try {
      return work.run();
    } catch (RuntimeException | Error e) {
      if (directory != null) {
        directory.fail(reason(e));
        directory.discardIfEmpty();
      }
      throw e;
    }
  }

  /** Why work ended early, in a line. */
  static String reason(Throwable e) {
    if (e instanceof CancellationException) {
      return "cancelled";
    }
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }

  MetricsLog metrics() {
    return directory == null
        ? MetricsLog.NONE
        : new MetricsLog(record -> directory.appendJsonLine(METRICS, record));
  }

  /** The configuration of a search as it is run. */
  void configuration(Session session, SearchSettings settings, long budget) {
    Map<String, Object> config = common("search", session);
    config.put("search", settings);
    config.put("budget", budget);
    begin(session, config);
  }

  /** The configuration of a plain training as it is run. */
  void configuration(Session session, Selection selection, List<Candidate> modules) {
    Map<String, Object> config = common("train", session);
    config.put("selection", selection);
    begin(session, config);
    json(CONFIGURATION, modules(session, modules, selection.isFull()));
  }

  private void begin(Session session, Map<String, Object> config) {
    if (directory != null) {
      json(CONFIG, config);
      session.progress.directory(directory.path());
    }
  }

  private static Map<String, Object> common(String command, Session session) {
    Map<String, Object> config = RunDirectory.formatted();
    config.put("command", command);
    config.put("versions", Environment.versions());
    config.put("setup", session.setup);
    config.putAll(session.dataset.schema().toMap());
    config.put("encoder", session.encoder.config());
    config.put(RunData.MEMBER, session.data);
    return config;
  }

  void strategy(Strategy strategy) {
    json(STRATEGY, strategy.toMap());
  }

  void pruning(PruningResult pruning) {
    json(ROUNDS, pruning.rounds());
  }

  /** The last of a search; the directory is whole afterwards. */
  void complete(Session session, Session.Trained trained, SearchOutcome outcome) {
    if (directory == null) {
      return;
    }
    json(CONFIGURATION, modules(session.setup, outcome.pruning().kept()));
    Map<String, Object> result = result(trained.outcome());
    result.put("warm_up_seconds", outcome.warmUpSeconds());
    result.put("round_seconds", outcome.roundSeconds());
    result.put("search_to_training_ratio", outcome.costRatio());
    finish(trained, result, Summary.of(session.setup, outcome, session.space));
  }

  /** The last of a plain training. */
  void complete(Session session, Session.Trained trained, Selection selection) {
    if (directory == null) {
      return;
    }
    finish(
        trained,
        result(trained.outcome()),
        Summary.of(session.setup, selection, trained.outcome(), session.space));
  }

  private void finish(Session.Trained trained, Map<String, Object> result, String summary) {
    Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
    trained.modules().groups().values().forEach(group -> collect(group, tensors));
    write(ADAPTER, tensors);
    Map<String, SafeTensors.Tensor> head = new LinkedHashMap<>();
    collect(trained.head().parameters(), head);
    write(HEAD, head);
    if (trained.encoder() != null) {
      Map<String, SafeTensors.Tensor> encoder = new LinkedHashMap<>();
      collect(trained.encoder(), encoder);
      write(ENCODER, encoder);
    }
    json(RESULT, result);
    directory.writeText(SUMMARY, summary);
    directory.complete();
  }

  private static void collect(FlatParameters parameters, Map<String, SafeTensors.Tensor> tensors) {
    for (String name : parameters.names()) {
      tensors.put(
          name,
          new SafeTensors.Tensor(parameters.shape(name), Torch.toFloats(parameters.get(name))));
    }
  }

  private void write(String name, Map<String, SafeTensors.Tensor> tensors) {
    Path file = directory.path().resolve(name);
    try {
      SafeTensors.write(file, tensors);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  /** The content of {@link #CONFIGURATION} where the encoder itself may be trained. */
  private static Map<String, Object> modules(Session session, List<Candidate> kept, boolean full) {
    Map<String, Object> configuration = modules(session.setup, kept);
    configuration.put(FULL, full);
    return configuration;
  }

  /** Whether a run trained the encoder's own weights, which {@link #ENCODER} then holds. */
  static boolean isFull(RunDirectory run) {
    return Boolean.TRUE.equals(run.readJson(CONFIGURATION).get(FULL));
  }

  /** The content of {@link #CONFIGURATION} on a frozen encoder. */
  static Map<String, Object> modules(Setup setup, List<Candidate> kept) {
    Map<String, Object> configuration = new LinkedHashMap<>();
    configuration.put("model", setup.model());
    configuration.put("task", setup.task());
    configuration.put("lora", setup.lora());
    configuration.put("adapter", setup.adapter());
    configuration.put("trainable_parameters", Candidate.total(kept));
    configuration.put("modules", kept);
    return configuration;
  }

  private static Map<String, Object> result(TrainOutcome outcome) {
    Map<String, Object> result = RunDirectory.formatted();
    result.put("test", metrics(outcome.test()));
    result.put("validation", metrics(outcome.validation()));
    result.put("head_alone_test", metrics(outcome.head()));
    result.put("trainable_parameters", outcome.parameters());
    result.put("supernet_parameters", outcome.supernetParameters());
    result.put("best_epoch", outcome.bestEpoch());
    result.put("epochs", outcome.epochs());
    result.put("preparation_seconds", outcome.preparationSeconds());
    result.put("training_seconds", outcome.trainingSeconds());
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
