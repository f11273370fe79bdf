package org.prunepeft.run;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import org.prunepeft.data.TaskKind;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.peft.supernet.Seeds;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.report.RunPhase;
import org.prunepeft.report.TrainOutcome;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.ModuleChoice.SupernetWeights;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.train.DecisionThreshold;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.loop.Checkpoints;
import org.prunepeft.train.loop.KeptWork;
import org.prunepeft.train.loop.Owned;
import org.prunepeft.train.loop.Trainer;
import org.prunepeft.train.pass.TrainingRun;

/** The training of a run whose result is kept. */
public final class FinalTraining {
  /** What the training whose result is kept is called in metrics. */
  private static final String FINAL = "train";

  /** Names the draws of the final training. */
  private static final String FINAL_STAGE = "final";

  private final Session session;
  private final MetricsLog log;

  /**
   * What the training of a measured search's supernet took, validation apart; 0: there was none.
   */
  private final double supernetSeconds;

  /** What was computed before this training. */
  private double searchFlop;

  /** What predicting the test examples with the trained modules took. */
  private double testSeconds;

  /** Of what is chosen before it begins, without a supernet's weights. */
  public FinalTraining(Session session, MetricsLog log) {
    this(session, log, 0);
  }

  /**
   * @param supernetSeconds what the training of a measured search's supernet took, validation apart
   */
  FinalTraining(Session session, MetricsLog log, double supernetSeconds) {
    this.session = session;
    this.log = log;
    this.supernetSeconds = supernetSeconds;
  }

  /**
   * What training a configuration leaves behind.
   *
   * @param encoder the encoder's own weights where they were trained; else null
   * @param times what configurations take on this machine
   * @param searchFlop what was computed before
   */
  public record Trained(
      PeftModules modules,
      TaskHead head,
      FlatParameters encoder,
      TrainOutcome outcome,
      MachineTimes times,
      double searchFlop)
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
  public Trained train(List<Candidate> candidates, boolean full) {
    return train(session.setup, candidates, full, null, session.setup.epochs());
  }

  /**
   * Trains modules of a measured search on from the weights that they have in its supernet, as that
   * search does.
   *
   * @param candidates the modules that these weights are of
   * @throws IllegalArgumentException if that supernet is of another model, other modules, data or
   *     another seed
   */
  public Trained train(List<Candidate> candidates, SupernetWeights weights) {
    Setup whole = session.wholeSetup();
    EncoderConfig model = session.encoder.config();
    Slices slices = new Slices(whole.peft(), model, weights.moduleSlices());
    List<Candidate> chosen =
        slices.space().candidates().stream()
            .filter(slice -> weights.chosen().contains(slice.name()))
            .toList();
    try (PeftModules supernet = session.modules(whole, whole.peft().space(model).candidates());
        TaskHead head = session.baseline.head().copy()) {
      StoredSupernet.read(weights.run(), session, supernet, head);
      supernet.cut(slices);
      int epochs = session.setup.epochs();
      WarmStart start =
          new WarmStart(
              modules -> modules.copySlices(supernet, chosen),
              head,
              weights.retrainingEpochs().orElse(MeasuringSettings.warmEpochs(epochs)));
      return train(session.setup, candidates, false, start, epochs);
    }
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
  Trained train(Setup sized, List<Candidate> candidates, boolean full, WarmStart warm, int epochs) {
    if (candidates.isEmpty() && !full && session.baseline.head().parameters().count() == 0) {
      throw new IllegalArgumentException(
          "a language model without modules has nothing to train; name modules, such as --modules"
              + " supernet");
    }
    Owned owned = new Owned();
    try {
      FlatParameters own = owned.add(full ? session.encoder.trainable() : null);
      PeftModules modules = owned.add(session.modules(sized, candidates));
      TaskHead trainedHead = owned.add(session.baseline.head().copy());
      Start start = keptStart(warm, epochs, modules, trainedHead);
      if (own != null) {
        trainedHead.dropVanishing();
      }
      TrainingRun run =
          new TrainingRun(
                  modules,
                  trainedHead,
                  session.train,
                  start.epochs,
                  Seeds.derive(session.setup.seed(), FINAL_STAGE),
                  session.validation)
              .withEncoder(own);
      TrainOutcome outcome =
          train(
              // Of full fine-tuning the weights are wanted, whatever no modules give.
              own != null
                  ? run
                  : start.warm
                      ? run.comparedWith(start.validation)
                      : run.surelyBetterThan(start.validation));
      return new Trained(modules, trainedHead, own, outcome, times(outcome), searchFlop);
    } catch (RuntimeException | Error e) {
      owned.closeAfter(e);
      throw e;
    }
  }

  /** How many epochs follow, and what the weights that they begin with give on validation data. */
  private record Start(int epochs, Evaluation validation, boolean warm) {}

  /** Where it is cancelled, a checkpoint has what was measured before. */
  private Start keptStart(WarmStart warm, int epochs, PeftModules modules, TaskHead trainedHead) {
    try {
      return start(warm, epochs, modules, trainedHead);
    } catch (CancellationException e) {
      // Of runs that are trained together the others are anywhere.
      if (session.together == null) {
        session.trainer.checkpoints().save();
      }
      throw e;
    }
  }

  /** Takes the warm start's weights if they are no worse than no modules, else new ones. */
  private Start start(WarmStart warm, int epochs, PeftModules modules, TaskHead trainedHead) {
    if (warm != null) {
      warm.weights.accept(modules);
      trainedHead.copyWeights(warm.head);
      if (session.baseline.validation() == null) {
        return new Start(warm.epochs, null, true);
      }
      Evaluation validated = validated(modules, trainedHead);
      if (validated.primary() >= session.baseline.validation().primary()) {
        return new Start(warm.epochs, validated, true);
      }
      session.progress.message(
          "the supernet's weights are worse than no modules, %s and %s on validation data: the training begins with new ones"
              .formatted(validated.primaryText(), session.baseline.validation().primaryText()));
      trainedHead.copyWeights(session.baseline.head());
    }
    // Adapters' random weights cost a regression or a language model more than it regains.
    modules.initialise(
        session.setup.seed(),
        FINAL_STAGE,
        session.dataset.schema().kind() != TaskKind.CLASSIFICATION);
    return new Start(epochs, session.baseline.validation(), false);
  }

  /**
   * Validates what a training begins with. The supernet's head learnt beside the modules that are
   * switched off now: one that is fitted to what is left takes its place where its loss is lower.
   */
  private Evaluation validated(PeftModules modules, TaskHead trainedHead) {
    Evaluation validated = evaluated(modules, trainedHead, session.validation, KeptWork.NONE);
    if (session.dataset.schema().kind() == TaskKind.LANGUAGE_MODELING) {
      return validated;
    }
    try (Head fitted = Baseline.fit(session, modules)) {
      Evaluation of = evaluated(modules, fitted, session.validation, KeptWork.NONE);
      if (of.loss() < validated.loss()) {
        session.progress.message(
            String.format(
                Locale.ROOT,
                "the head is fitted to the kept modules: loss %.4f on validation data, %.4f with the supernet's",
                of.loss(),
                validated.loss()));
        trainedHead.copyWeights(fitted);
        return of;
      }
    }
    return validated;
  }

  private Evaluation evaluated(
      PeftModules modules, TaskHead head, EncodedDataset set, KeptWork kept) {
    return session
        .trainer
        .predictor()
        .evaluate(modules, head, set, kept, done -> session.requireNotCancelled());
  }

  private TrainOutcome train(TrainingRun run) {
    session.phases.begin(RunPhase.TRAINING);
    searchFlop = session.trainer.flop().total();
    session
        .trainer
        .checkpoints()
        .add("search", state -> searchFlop = state.number("flop", searchFlop));
    Trainer.Result result =
        session.trainer.trainLast(run, session.follow(FINAL, session.trainer.steps(run), log));
    Checkpoints checkpoints = session.trainer.afterLast();
    double trainingSeconds = session.phases.end(RunPhase.TRAINING);
    if (result.epochs() < run.epochs()) {
      session.progress.message(
          String.format(
              Locale.ROOT,
              "stopped early, after epoch %d of %d: none was better than epoch %d",
              result.epochs(),
              run.epochs(),
              result.bestEpoch()));
    }
    boolean headAlone = result.bestEpoch() == 0 && run.surely();
    if (headAlone) {
      // It had no modules, and adapters' first weights have an effect.
      run.modules().initialise(session.setup.seed(), FINAL_STAGE, true);
    }
    if (result.bestEpoch() == 0) {
      session.progress.message(
          "no epoch was %s, %s on validation data, which is kept; lower the learning rates, or train on more"
              .formatted(
                  headAlone
                      ? "surely better than the head alone"
                      : "better than what it began with",
                  result.validation().primaryText()));
    }
    boolean tuned = session.setup.training().tuneThreshold() && result.validation() != null;
    if (tuned) {
      tuneThreshold(run, result.validation(), checkpoints);
    }
    session.progress.started("test", "", 0);
    // The head's own result came from larger batches: its last bits may be others.
    Evaluation validated =
        result.bestEpoch() == 0 || tuned
            ? evaluated(
                run.modules(),
                run.head(),
                session.validation,
                new KeptWork(checkpoints, "validated"))
            : result.validation();
    Stopwatch watch = new Stopwatch();
    checkpoints.add("test seconds", watch::exchange);
    watch.begin();
    Evaluation tested =
        evaluated(run.modules(), run.head(), session.test, new KeptWork(checkpoints, "tested"));
    testSeconds = watch.end();
    log.test(FINAL, tested);
    session.progress.metrics(FINAL, session.trainer.steps(run), MetricsLog.of("test", tested));
    boolean full = run.encoder() != null;
    return new TrainOutcome(
        run.modules().candidates(),
        full ? run.encoder().count() : run.modules().count(),
        full,
        session.supernetParameters,
        headAlone
            // The same weights; their results differ in the last bits where batches do.
            ? tested
            : tuned ? headWithThreshold() : session.baseline.test(),
        validated,
        tested,
        result.bestEpoch(),
        result.epochs(),
        session.preparationSeconds,
        trainingSeconds);
  }

  private MachineTimes times(TrainOutcome outcome) {
    MachineTimes.Work work =
        new MachineTimes.Work(
            session.encoder.config(),
            session.train.tokens(),
            session.validation.size(),
            session.setup.epochs(),
            session.setup.training().keepsActivations(session.setup.epochs()));
    if (session.together != null) {
      return MachineTimes.unknown(work);
    }
    return MachineTimes.of(
        work,
        new MachineTimes.Taken(
            outcome.modules(),
            outcome.epochs(),
            outcome.trainingSeconds(),
            testSeconds,
            session.test.size(),
            supernetSeconds,
            supernetSeconds > 0 ? searchFlop : 0));
  }

  /** The head alone with a threshold of its own, so that modules get no credit for theirs. */
  private Evaluation headWithThreshold() {
    Evaluation validated = session.baseline.validation();
    DecisionThreshold threshold =
        DecisionThreshold.choose(
            validated.primaryMetric(), validated.predictions(), session.validation.targets());
    return Evaluation.of(
        threshold.applied(session.baseline.test().predictions()), session.test.targets());
  }

  private void tuneThreshold(TrainingRun run, Evaluation validated, Checkpoints checkpoints) {
    DecisionThreshold threshold =
        DecisionThreshold.choose(
            validated.primaryMetric(), validated.predictions(), session.validation.targets());
    // Weights of a checkpoint that has this part have the threshold.
    if (!checkpoints.add("threshold", state -> {})) {
      ((Head) run.head()).lower(1, threshold.margin());
    }
    session.progress.message(
        "decision threshold: '%s' is predicted from a probability of %s, which was best on validation data; the head's bias has it, so that this is one half now"
            .formatted(session.dataset.labels().get(1), threshold));
  }
}
