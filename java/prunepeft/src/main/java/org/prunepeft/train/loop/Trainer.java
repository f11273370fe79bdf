package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.pass.FirstNonFinite;
import org.prunepeft.train.pass.FrozenPrefix;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.RoundStatistics;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Trains modules and head on a frozen encoder. Keeps nothing between calls but scratch memory. Not
 * for two threads at once.
 */
public final class Trainer implements AutoCloseable {
  /** Of checkpoints: a training that goes on. */
  private static final String PART = "training";

  private final Encoder encoder;
  private final TrainingSettings settings;
  private final GradientPasses.Mode mode;

  /** Null: it trains alone. */
  private final TrainingsInStep inStep;

  private final Checkpoints checkpoints;

  private final Tape tape;
  private final Predictor predictor;

  private final TrainingFlop flop = new TrainingFlop();

  /** Null: the run's last training has not begun. */
  private EndedTraining last;

  /**
   * @param encoder stays the caller's
   */
  public Trainer(Encoder encoder, TrainingSettings settings) {
    this(encoder, settings, null, Checkpoints.NONE);
  }

  /**
   * @param encoder stays the caller's
   * @param inStep where its trainings wait for those of others on the same encoder; null: it trains
   *     alone
   * @param checkpoints of the run whose trainings it makes
   */
  public Trainer(
      Encoder encoder, TrainingSettings settings, TrainingsInStep inStep, Checkpoints checkpoints) {
    this(encoder, settings, inStep, checkpoints, GradientPasses.Mode.of(encoder.device()));
  }

  /** With passes made in another way than that of the encoder's device. */
  Trainer(
      Encoder encoder,
      TrainingSettings settings,
      TrainingsInStep inStep,
      Checkpoints checkpoints,
      GradientPasses.Mode mode) {
    this.encoder = encoder;
    this.settings = settings;
    this.inStep = inStep;
    this.checkpoints = checkpoints;
    this.mode = mode;
    tape = new Tape(settings.gradientCheckpointing());
    // Of runs that are trained in step the others are anywhere while one measures.
    predictor = new Predictor(encoder, tape, inStep == null ? checkpoints : Checkpoints.NONE);
  }

  /**
   * {@return what predicts and measures by the same encoder and scratch memory; closed with this}
   */
  public Predictor predictor() {
    return predictor;
  }

  /** {@return those of the run whose trainings it makes} */
  public Checkpoints checkpoints() {
    return checkpoints;
  }

  Encoder encoder() {
    return encoder;
  }

  /**
   * How a training went.
   *
   * @param validation the best result; null without validation
   * @param bestEpoch the one whose weights are kept, 1-based; 0: none was better than what the
   *     training began with; the last one without validation
   * @param epochs how many were trained: fewer than the run's if it ended early
   */
  public record Result(Evaluation validation, int bestEpoch, int epochs) {}

  /** How many steps of the optimiser a run has, if it does not end early. */
  public int steps(TrainingRun run) {
    return steps(run.data(), run.epochs());
  }

  int steps(EncodedDataset data, int epochs) {
    return epochs * new Batches(data, settings.examplesPerStep()).count();
  }

  /**
   * A training to be made.
   *
   * @param statistics gathers what criteria need, while modules keep their size; null: nothing is
   *     gathered
   * @param checkpoints of its run
   * @param flop to which what it computed is added
   * @param last what it leaves; null: it is not the last one of its run
   */
  record Request(
      TrainingRun run,
      StepListener listener,
      RoundStatistics statistics,
      Checkpoints checkpoints,
      TrainingFlop flop,
      EndedTraining last) {
    /** One that is not the last of its run. */
    Request(
        TrainingRun run,
        StepListener listener,
        RoundStatistics statistics,
        Checkpoints checkpoints) {
      this(run, listener, statistics, checkpoints, new TrainingFlop(), null);
    }
  }

  /**
   * How one of several trainings ended.
   *
   * @param failure null: it did not fail
   */
  record Outcome(Result result, RuntimeException failure) {
    /** The result, if there is one. */
    Result get() {
      if (failure != null) {
        throw failure;
      }
      return result;
    }
  }

  /**
   * Trains. The head of a regression is no longer standardised afterwards.
   *
   * @param statistics gathers what criteria need, while modules keep their size; null: nothing is
   *     gathered
   * @throws CancellationException if the listener says so
   * @throws IllegalStateException if a loss, a gradient or a prediction is not finite, unless the
   *     settings say that such steps are left out
   */
  Result train(TrainingRun run, StepListener listener, RoundStatistics statistics) {
    return train(new Request(run, listener, statistics, checkpoints, flop, null));
  }

  private Result train(Request request) {
    Outcome outcome = inStep == null ? train(List.of(request)).get(0) : inStep.train(this, request);
    return outcome.get();
  }

  /**
   * Makes the last training of a run, without gathering statistics. Checkpoints keep what it leaves
   * from then on, and a run that goes on from one of these is not trained again.
   */
  public Result trainLast(TrainingRun run, StepListener listener) {
    last = new EndedTraining(run);
    if (!checkpoints.resumes(EndedTraining.PART)) {
      return train(new Request(run, listener, null, checkpoints, flop, last));
    }
    last.keep(checkpoints);
    return last.result();
  }

  /**
   * {@return the checkpoints of the run, now that its last training has ended} Of runs that are
   * trained together none are written until the others have ended theirs too.
   */
  public Checkpoints afterLast() {
    return last.isKept() ? checkpoints : Checkpoints.NONE;
  }

  /** {@return what its trainings have computed so far} */
  public TrainingFlop flop() {
    return flop;
  }

  /** Trains without gathering statistics; see the other method. */
  public Result train(TrainingRun run, StepListener listener) {
    return train(run, listener, null);
  }

  /**
   * Trains several at once: each step of theirs is one pass through the encoder. What one has
   * thrown ends it, and the others go on.
   *
   * @param requests one or more, on the frozen encoder if there are more
   * @return how each ended, in the same order
   */
  List<Outcome> train(List<Request> requests) {
    // What lies below is kept of all or of none: all go through the encoder together.
    int lowest =
        requests.stream().allMatch(request -> keepsPrefix(request.run, request.run.data(), 1))
            ? requests.stream().mapToInt(request -> lowest(request.run)).min().orElseThrow()
            : 0;
    List<Training> trainings = new ArrayList<>();
    try (GradientPasses passes = new GradientPasses(encoder, settings, tape, mode)) {
      for (Request request : requests) {
        trainings.add(new Training(this, request, lossesKept(), lowest, requests.size()));
      }
      List<Training> going = new ArrayList<>(trainings);
      if (resume(requests, trainings)) {
        fillPrefixes(passes, trainings);
      }
      while (!going.isEmpty()) {
        boolean cancelled = going.stream().filter(Training::askCancelled).count() > 0;
        Checkpoints ofAll = requests.get(0).checkpoints;
        int step = going.get(0).done();
        // Of trainings that have ended there is no state to keep.
        if (going.size() == trainings.size()
            && (cancelled || step == 0 && ofAll.dueAtStart() || ofAll.due(step))) {
          keep(ofAll, going);
        }
        boolean all = going.size() == trainings.size();
        going.removeIf(training -> !training.next());
        if (going.size() == trainings.size()
            && going.stream().anyMatch(Training::hasEndedAnEpoch)
            && ofAll.dueAtStart()) {
          keep(ofAll, going);
        }
        long inValidation = trainings.stream().filter(Training::wasCancelledInValidation).count();
        if (all && inValidation > 0 && inValidation + going.size() == trainings.size()) {
          keep(ofAll, going);
        }
        if (!going.isEmpty()) {
          passes.step(going.stream().map(Training::step).toList());
          going.removeIf(training -> !training.stepDone());
        }
      }
      List<Outcome> outcomes = trainings.stream().map(Training::outcome).toList();
      end(requests, outcomes);
      return outcomes;
    } finally {
      requests.forEach(request -> request.checkpoints.remove(PART));
      trainings.forEach(Training::close);
    }
  }

  private void end(List<Request> requests, List<Outcome> outcomes) {
    boolean allLast =
        requests.stream().allMatch(request -> request.last != null)
            && outcomes.stream().allMatch(outcome -> outcome.failure == null);
    for (int i = 0; i < outcomes.size(); i++) {
      Request request = requests.get(i);
      Result result = outcomes.get(i).result;
      if (result != null) {
        TrainingRun run = request.run;
        boolean prefix = keepsPrefix(run, run.data(), lowest(run));
        request.flop.add(encoder.config(), run, result.epochs(), prefix);
      }
      if (allLast) {
        request.last.keep(result, request.checkpoints);
      }
    }
  }

  /** A step can be left out, and its activations looked at, only before the next one. */
  private int lossesKept() {
    return settings.nonFinite() == NonFinite.SKIP || settings.detectAnomaly() ? 1 : mode.losses();
  }

  /** Whether all outputs of a step's passes are finite. */
  boolean outputsAreFinite(TrainingRun run, Batch batch) {
    return FirstNonFinite.output(encoder, run.modules(), run.head(), tape, microBatches(run, batch))
        .isEmpty();
  }

  /** Where a step's values become NaN or infinite; see {@link FirstNonFinite}. */
  String firstNonFinite(TrainingRun run, Batch batch) {
    return FirstNonFinite.describe(
        encoder, run.modules(), run.head(), run.encoder(), tape, microBatches(run, batch), true);
  }

  /** No more goes through the encoder at once than in training. */
  private List<Batch> microBatches(TrainingRun run, Batch batch) {
    return batch.split(run.data(), settings.batchSize());
  }

  /** Whether the trainings were under way when their runs were cut off, and go on from there. */
  private static boolean resume(List<Request> requests, List<Training> trainings) {
    boolean resumed = false;
    for (int i = 0; i < trainings.size(); i++) {
      resumed |= requests.get(i).checkpoints.add(PART, trainings.get(i)::exchange);
    }
    return resumed;
  }

  /** Makes the passes anew of which prefixes keep something. */
  private static void fillPrefixes(GradientPasses passes, List<Training> trainings) {
    if (!trainings.get(0).hasPrefix()) {
      return;
    }
    int most = trainings.stream().mapToInt(Training::firstEpoch).max().orElseThrow();
    int steps = Math.min(most, trainings.get(0).done());
    List<Iterator<Batch>> batches = trainings.stream().map(Training::fromTheBeginning).toList();
    for (int step = 0; step < steps; step++) {
      List<GradientPasses.Step> earlier = new ArrayList<>();
      for (int i = 0; i < trainings.size(); i++) {
        earlier.add(trainings.get(i).earlier(batches.get(i).next(), step));
      }
      passes.fillPrefix(earlier);
    }
  }

  /** Writes a checkpoint, unless a training turns out to have failed. */
  private static void keep(Checkpoints checkpoints, List<Training> going) {
    int all = going.size();
    going.removeIf(training -> !training.readLosses());
    if (going.size() == all) {
      checkpoints.save();
    }
  }

  TrainingSettings settings() {
    return settings;
  }

  /** The lowest layer with a module. */
  private static int lowest(TrainingRun run) {
    return run.modules().candidates().stream().mapToInt(Candidate::layer).min().orElse(0);
  }

  /**
   * Keeps what the layers below the lowest module say of the data, where there are such layers and
   * the data comes more than once.
   *
   * @param lowest the lowest layer with a module of the run or of those that it is trained with
   * @param runs how many are trained together, which share the room
   */
  FrozenPrefix prefix(TrainingRun run, EncodedDataset data, int lowest, int runs) {
    if (!keepsPrefix(run, data, lowest)) {
      return null;
    }
    long bytes = ((long) settings.activationCacheMegabytes() << 20) / runs;
    return new FrozenPrefix(encoder, lowest, data, bytes, settings.activationCacheHalf());
  }

  private boolean keepsPrefix(TrainingRun run, EncodedDataset data, int lowest) {
    return data != null
        && run.encoder() == null
        && lowest > 0
        && settings.keepsActivations(run.epochs());
  }

  @Override
  public void close() {
    predictor.close();
  }
}
