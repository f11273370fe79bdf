package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.PairedDifference;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.optimizer.Optimizer;
import org.prunepeft.train.optimizer.ParameterGroup;
import org.prunepeft.train.optimizer.Snapshot;
import org.prunepeft.train.pass.FrozenPrefix;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.StepLosses;
import org.prunepeft.train.pass.TrainingRun;

/**
 * The course of one training: epochs, the optimiser, validation and the best weights. Forward and
 * backward passes come from outside, between {@link #next} and {@link #stepDone}.
 */
final class Training implements AutoCloseable {
  /** A progress bar should not stand still for longer. */
  private static final long MOST_NANOS_UNREAD = 200_000_000;

  private final Trainer trainer;
  private final TrainingSettings settings;
  private final TrainingRun run;
  private final StepListener listener;
  private final RoundStatistics statistics;
  private final Batches batches;
  private final int steps;
  private final FrozenPrefix prefix;
  private final FrozenPrefix validationPrefix;
  private final Optimizer optimizer;

  /** What the modules do beside their forward passes. */
  private final List<TrainingHook> hooks = new ArrayList<>();

  private final Snapshot snapshot;
  private final StepLosses losses;
  private final GradientPasses.Member member;

  private final Owned owned = new Owned();

  private boolean cancelled;
  private boolean cancelledInValidation;

  /** By the listener, when it was asked; null: nothing. */
  private RuntimeException thrown;

  private int step;
  private int epoch;
  private int bestEpoch;
  private Evaluation best;

  /** What an epoch has to be surely better than, to be kept; null: nothing. */
  private Evaluation rival;

  /** The best metric so far, kept or not; null: there is none. */
  private Double highest;

  private int highestEpoch;

  /** What the best epoch predicts; null: it is the head alone, or there is none yet. */
  private float[] bestOutputs;

  private boolean endedAnEpoch;

  /** Null: the next epoch has not begun. */
  private Iterator<Batch> left;

  private Batch batch;
  private double factor;
  private double lossSum;

  /** {@link Batch#weight} of the epoch's batches whose steps were left out. */
  private long skipped;

  /** Whether each step's numbers are looked at before it changes a weight. */
  private final boolean eachStep;

  /** Steps whose losses have not been read yet. */
  private final List<Unread> unread = new ArrayList<>();

  private long lastRead = System.nanoTime();
  private Trainer.Outcome outcome;

  private record Unread(int step, double factor, Batch batch) {}

  /**
   * @param mostUnread of how many steps losses are kept before they are read
   * @param lowest the lowest layer with a module of this run or of those that it is trained with
   * @param runs how many are trained together
   */
  Training(Trainer trainer, Trainer.Request request, int mostUnread, int lowest, int runs) {
    this.trainer = trainer;
    eachStep = mostUnread == 1;
    settings = trainer.settings();
    run = request.run();
    listener = request.listener();
    statistics = request.statistics();
    batches = new Batches(run.data(), settings.examplesPerStep());
    steps = trainer.steps(run);
    List<ParameterGroup> groups = groups();
    try {
      prefix = owned.add(trainer.prefix(run, run.data(), lowest, runs));
      validationPrefix = owned.add(trainer.prefix(run, run.validation(), lowest, runs));
      losses = owned.add(new StepLosses(trainer.encoder().device(), mostUnread));
      optimizer = owned.add(new Optimizer(settings, groups));
      for (TrainingHook hook : run.modules().trainingHooks(steps, run.judged())) {
        hooks.add(owned.add(hook));
      }
      snapshot = owned.add(run.validation() == null ? null : new Snapshot(groups));
      if (run.validation() != null && settled()) {
        best = run.start();
        rival = run.surely() ? best : null;
        highest = best == null ? null : best.primary();
      }
      member = new GradientPasses.Member(run, prefix, losses, hooks, steps);
    } catch (RuntimeException | Error e) {
      owned.closeAfter(e);
      throw e;
    }
  }

  private List<ParameterGroup> groups() {
    List<ParameterGroup> groups = new ArrayList<>();
    run.modules()
        .groups()
        .forEach(
            (type, parameters) ->
                groups.add(
                    new ParameterGroup(type, parameters, settings.moduleLearningRate(type))));
    if (run.encoder() != null) {
      groups.add(new ParameterGroup("encoder", run.encoder(), settings.encoderLearningRate()));
    }
    if (run.head().parameters().count() > 0) {
      groups.add(run.head().group(settings));
    }
    return groups;
  }

  /**
   * Gives its state to a checkpoint, or takes it from one: before {@link #next}, when the losses of
   * all steps are read. What follows from the run's seed is not in it.
   */
  void exchange(StateExchange state) {
    long seed = state.value("seed", Long.class, run.seed());
    int of = state.number("of steps", steps);
    if (seed != run.seed() || of != steps) {
      throw new IllegalStateException(
          "the checkpoint is of another training: seed %d and %d steps, not seed %d and %d"
              .formatted(seed, of, run.seed(), steps));
    }
    step = state.number("step", step);
    epoch = state.number("epoch", epoch);
    lossSum = state.number("loss sum", lossSum);
    if (settings.nonFinite() == NonFinite.SKIP) {
      skipped = state.number("skipped weight", skipped);
    }
    bestEpoch = state.number("best epoch", bestEpoch);
    highestEpoch = state.number("highest epoch", highestEpoch);
    if (highestEpoch > 0) {
      highest = state.number("highest", highest == null ? 0 : highest);
    }
    optimizer.exchange(state.part("weights"));
    for (int i = 0; i < hooks.size(); i++) {
      hooks.get(i).exchange(state.part("hook " + i));
    }
    if (statistics != null) {
      statistics.exchange(state.part("statistics"));
    }
    if (bestEpoch > 0) {
      snapshot.exchange(state.part("best"));
      bestOutputs = state.floats("best outputs", bestOutputs);
    }
    if (state.restoring()) {
      restored();
    }
  }

  /** Goes on from what a checkpoint had. */
  private void restored() {
    if (bestEpoch > 0) {
      best = Predictor.evaluation(run, bestOutputs);
    }
    if (epoch > 0) {
      left = batches.shuffled(run.seed(), epoch).iterator();
      for (int i = (epoch - 1) * batches.count(); i < step; i++) {
        left.next();
      }
    }
    if (validationPrefix != null && epoch > 1) {
      // It remembers an example from the batch in which it first came.
      validationOutputs();
    }
  }

  /** How many steps are done. */
  int done() {
    return step;
  }

  /** Asks whether it shall end before the next step. */
  boolean askCancelled() {
    try {
      cancelled = listener.cancelled();
    } catch (RuntimeException e) {
      thrown = e;
    }
    return cancelled;
  }

  /** Whether what layers below the modules say of an example is kept. */
  boolean hasPrefix() {
    return prefix != null;
  }

  /** The batches of the first steps, over the end of an epoch too. */
  Iterator<Batch> fromTheBeginning() {
    return new Iterator<>() {
      private int number = 1;
      private Iterator<Batch> of = batches.shuffled(run.seed(), number).iterator();

      @Override
      public boolean hasNext() {
        return of.hasNext() || number < run.epochs();
      }

      @Override
      public Batch next() {
        if (!of.hasNext()) {
          of = batches.shuffled(run.seed(), ++number).iterator();
        }
        return of.next();
      }
    };
  }

  /** How many steps have come once every example has. */
  int firstEpoch() {
    return batches.count();
  }

  /** What a step of an earlier batch is made of, without statistics. */
  GradientPasses.Step earlier(Batch of, int number) {
    return new GradientPasses.Step(member, of, number, null);
  }

  /**
   * Goes to the next batch, over the end of an epoch too, after {@link #askCancelled}; false: the
   * training has ended.
   */
  boolean next() {
    endedAnEpoch = false;
    try {
      while (left == null || !left.hasNext()) {
        if (left != null) {
          endEpoch();
          endedAnEpoch = true;
          left = null;
        } else if (epoch < run.epochs() && (best == null || !outOfPatience())) {
          epoch++;
          lossSum = 0;
          skipped = 0;
          left = batches.shuffled(run.seed(), epoch).iterator();
        } else {
          end();
          return false;
        }
      }
      if (thrown != null) {
        throw thrown;
      }
      if (cancelled) {
        read();
        throw new CancellationException("cancelled at step " + step + " of " + steps);
      }
      factor = run.rate() * settings.rateFactor(step, steps);
      batch = left.next();
      return true;
    } catch (RuntimeException e) {
      outcome = new Trainer.Outcome(null, e);
      return false;
    }
  }

  /** Whether {@link #next} has just gone over the end of an epoch, to another. */
  boolean hasEndedAnEpoch() {
    return endedAnEpoch;
  }

  /** What the passes of the step are made of. */
  GradientPasses.Step step() {
    return new GradientPasses.Step(member, batch, step, statistics);
  }

  /** Reports all steps; false: the training has failed. */
  boolean readLosses() {
    try {
      read();
      return true;
    } catch (RuntimeException e) {
      outcome = new Trainer.Outcome(null, e);
      return false;
    }
  }

  /** Updates the weights; false: the training has failed. */
  boolean stepDone() {
    try {
      step++;
      Unread done = new Unread(step, factor, batch);
      if (eachStep) {
        double loss = losses.read()[0];
        Optional<String> wrong = nonFinite(loss);
        if (wrong.isPresent()) {
          leaveOut(done, wrong.get());
          return true;
        }
        update();
        report(done, loss);
        return true;
      }
      Optional<String> wrong = nonFiniteOfHooks();
      unread.add(done);
      if (wrong.isPresent()) {
        // A loss before may be the cause.
        read(done);
        throw diverged(done, wrong.get(), trainer.firstNonFinite(run, done.batch));
      }
      update();
      if (losses.full() || System.nanoTime() - lastRead > MOST_NANOS_UNREAD) {
        read();
      }
      return true;
    } catch (RuntimeException e) {
      outcome = new Trainer.Outcome(null, e);
      return false;
    }
  }

  /** What of a step is NaN or infinite. */
  private Optional<String> nonFinite(double loss) {
    if (!Double.isFinite(loss)) {
      return Optional.of("loss is " + loss);
    }
    double norm = optimizer.gradientNorm();
    if (!Double.isFinite(norm)) {
      return Optional.of("gradient's norm is " + norm);
    }
    return settings.detectAnomaly() && !trainer.outputsAreFinite(run, batch)
        ? Optional.of("output of a module is NaN or infinite")
        : nonFiniteOfHooks();
  }

  private Optional<String> nonFiniteOfHooks() {
    return hooks.stream().flatMap(hook -> hook.nonFinite().stream()).findFirst();
  }

  private void update() {
    hooks.forEach(hook -> hook.beforeStep(step));
    optimizer.step(factor);
    hooks.forEach(hook -> hook.afterStep(step));
  }

  /** Of a step whose loss or gradient is not finite: no weight has changed yet. */
  private void leaveOut(Unread done, String wrong) {
    DivergedException failure = diverged(done, wrong, trainer.firstNonFinite(run, done.batch));
    // Statistics of a step that is left out would stay; rounds are tried again as wholes.
    if (settings.nonFinite() == NonFinite.STOP || statistics != null) {
      throw failure;
    }
    optimizer.skip();
    hooks.forEach(TrainingHook::skipped);
    skipped += done.batch.weight();
    listener.skipped(done.step, steps, failure.getMessage());
  }

  private DivergedException diverged(Unread done, String wrong, String where) {
    return new DivergedException(
        "the %s at step %d of %d (%s): %s; lower the learning rates%s"
            .formatted(
                wrong,
                done.step,
                steps,
                DivergedException.named(done.batch.indices()),
                where,
                statistics == null ? ", or leave such steps out with --non-finite skip" : ""));
  }

  /** How it ended, after {@link #next} or {@link #stepDone} has said that it has. */
  Trainer.Outcome outcome() {
    return outcome;
  }

  /** Reports each step whose loss was not read, and adds the losses of the epoch's examples up. */
  private void read() {
    read(null);
  }

  /**
   * The same.
   *
   * @param last the step whose update has not been made; null: all have been
   */
  private void read(Unread last) {
    double[] values = losses.read();
    for (int i = 0; i < values.length; i++) {
      Unread done = unread.get(i);
      if (!Double.isFinite(values[i])) {
        throw diverged(
            done,
            "loss is " + values[i],
            done == last
                ? trainer.firstNonFinite(run, done.batch)
                // Later steps have changed the weights.
                : "it was read too late to name the first module");
      }
      report(done, values[i]);
    }
    unread.clear();
    lastRead = System.nanoTime();
  }

  private void report(Unread done, double loss) {
    lossSum += loss * done.batch.weight();
    listener.read(done.batch.tokens());
    listener.step(done.step, steps, loss, done.factor);
    lastRead = System.nanoTime();
  }

  private void endEpoch() {
    read();
    if (skipped == run.data().weight()) {
      throw new DivergedException(
          "every step of epoch %d was left out: none had a finite loss and gradient; lower the learning rates"
              .formatted(epoch));
    }
    Evaluation validation = null;
    if (run.validation() != null) {
      Predictions predictions = validationOutputs();
      validation = Evaluation.of(predictions, run.validation().targets());
      if (settled() && (highest == null || validation.primary() > highest)) {
        highest = validation.primary();
        highestEpoch = epoch;
      }
      if (settled() && better(validation)) {
        best = validation;
        bestEpoch = epoch;
        bestOutputs = predictions.outputs();
        snapshot.take();
      }
    }
    listener.epoch(epoch, run.epochs(), lossSum / (run.data().weight() - skipped), validation);
  }

  private Predictions validationOutputs() {
    return trainer
        .predictor()
        .outputs(
            run.modules(),
            run.head(),
            run.validation(),
            validationPrefix,
            KeptWork.NONE,
            done -> requireNotCancelled());
  }

  /** Whether it was cancelled in a validation, with the state that its last step left. */
  boolean wasCancelledInValidation() {
    return cancelledInValidation;
  }

  /** Asked between the batches of a validation, after which a step may be far. */
  private void requireNotCancelled() {
    if (listener.cancelled()) {
      cancelledInValidation = true;
      throw new CancellationException("cancelled after step " + step + " of " + steps);
    }
  }

  private boolean better(Evaluation validation) {
    if (best != null && !(validation.primary() > best.primary())) {
      return false;
    }
    // Once the rival is beaten, epochs are compared with one another.
    return rival == null
        || bestEpoch > 0
        || !lossRose(validation)
        || PairedDifference.of(validation, rival, run.validation().targets()).exceedsItsError();
  }

  private boolean lossRose(Evaluation validation) {
    return PairedDifference.ofLosses(
            validation.predictions(), rival.predictions(), run.validation().targets())
        .exceedsItsError();
  }

  /** Whether the weights as they are may be kept. */
  private boolean settled() {
    return hooks.stream().allMatch(hook -> hook.settled(step));
  }

  private boolean outOfPatience() {
    return run.validation() != null
        && settings.earlyStoppingPatience() > 0
        && epoch - Math.max(1, highestEpoch) >= settings.earlyStoppingPatience();
  }

  private void end() {
    if (best != null) {
      snapshot.restore();
    }
    run.head().fold();
    outcome =
        new Trainer.Outcome(
            new Trainer.Result(best, best == null ? epoch : bestEpoch, epoch), null);
  }

  @Override
  public void close() {
    owned.close();
  }
}
