package org.prunepeft.train.loop;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.generate.decoding.Generator;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.GpuMemory;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.NonFinite;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.DivergedException;
import org.prunepeft.train.pass.FirstNonFinite;
import org.prunepeft.train.pass.FrozenPrefix;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.Inputs;
import org.prunepeft.train.pass.StepLosses;
import org.prunepeft.train.pass.SubsetPredictions;
import org.prunepeft.train.pass.TrainingRun;
import org.prunepeft.train.statistics.RoundStatistics;

/**
 * Trains modules and head on a frozen encoder, and evaluates them. Keeps nothing between calls but
 * scratch memory. Not for two threads at once.
 */
public final class Trainer implements AutoCloseable {
  /** Of checkpoints: a training that goes on. */
  private static final String PART = "training";

  /** The same: subsets that are being measured. */
  private static final String SUBSETS = "subsets";

  private final Encoder encoder;
  private final TrainingSettings settings;
  private final GradientPasses.Mode mode;

  /** Null: it trains alone. */
  private final TrainingsInStep inStep;

  private final Checkpoints checkpoints;

  private final Tape tape;

  private final TrainingFlop flop = new TrainingFlop();

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
  }

  Checkpoints checkpoints() {
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
   */
  record Request(
      TrainingRun run,
      StepListener listener,
      RoundStatistics statistics,
      Checkpoints checkpoints) {}

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
    Request request = new Request(run, listener, statistics, checkpoints);
    Outcome outcome = inStep == null ? train(List.of(request)).get(0) : inStep.train(this, request);
    Result result = outcome.get();
    flop.add(encoder.config(), run, result.epochs(), keepsPrefix(run, run.data(), lowest(run)));
    return result;
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
        // Of trainings that have ended there is no state to keep.
        if (going.size() == trainings.size() && (cancelled || ofAll.due(going.get(0).done()))) {
          keep(ofAll, going);
        }
        going.removeIf(training -> !training.next());
        if (!going.isEmpty()) {
          passes.step(going.stream().map(Training::step).toList());
          going.removeIf(training -> !training.stepDone());
        }
      }
      return trainings.stream().map(Training::outcome).toList();
    } finally {
      requests.forEach(request -> request.checkpoints.remove(PART));
      trainings.forEach(Training::close);
    }
  }

  /** A step can be left out only before the next one. */
  private int lossesKept() {
    return settings.nonFinite() == NonFinite.SKIP ? 1 : mode.losses();
  }

  /** Where a batch's values become NaN or infinite; see {@link FirstNonFinite}. */
  String firstNonFinite(TrainingRun run, Batch batch) {
    return FirstNonFinite.describe(
        encoder, run.modules(), run.head(), run.encoder(), tape, batch, true);
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

  /**
   * The forward and backward passes of one step, for itself; the gradients are left in the
   * parameters.
   *
   * @return the mean loss
   */
  double step(
      TrainingRun run, Batch batch, int step, FrozenPrefix prefix, RoundStatistics statistics) {
    try (GradientPasses passes = new GradientPasses(encoder, settings, tape, mode);
        StepLosses losses = new StepLosses(encoder.device(), 1)) {
      GradientPasses.Member member =
          new GradientPasses.Member(run, prefix, losses, run.modules().trainingHooks(1, true), 1);
      passes.step(List.of(new GradientPasses.Step(member, batch, step, statistics)));
      return losses.read()[0];
    }
  }

  /**
   * What modules and head predict of each example, without dropout.
   *
   * @param data targets are not looked at
   * @throws IllegalStateException if a prediction is not finite; names the example and the first
   *     module whose output is not
   */
  public Predictions predict(PeftModules modules, TaskHead head, EncodedDataset data) {
    return predict(modules, head, data, null);
  }

  Predictions predict(
      PeftModules modules, TaskHead head, EncodedDataset data, FrozenPrefix prefix) {
    return outputs(modules, head, data, prefix, done -> {});
  }

  private Predictions outputs(
      PeftModules modules,
      TaskHead head,
      EncodedDataset data,
      FrozenPrefix prefix,
      IntConsumer progress) {
    int width = head.schema().outputs();
    float[] outputs = new float[Math.multiplyExact(data.size(), width)];
    int done = 0;
    modules.begin(ForwardPass.prediction(tape));
    for (Batch batch : Inputs.batches(encoder.device(), data)) {
      float[] logits =
          predicted(
              batch,
              input ->
                  head.outputs(head.reduced(hidden(batch, input, modules, prefix), input), batch),
              values -> requireFinite(values, batch, modules, head));
      for (int i = 0; i < batch.examples(); i++) {
        System.arraycopy(logits, i * width, outputs, batch.indices()[i] * width, width);
      }
      done += batch.examples();
      progress.accept(done);
    }
    Predictions predictions = new Predictions(head.schema(), outputs);
    return data.answers() == null
        ? predictions
        : new AnswerScores(this, modules, head, data.answers()).with(predictions);
  }

  /** What comes of a batch without gradients, row by row; without recordings if memory is short. */
  private float[] predicted(
      Batch batch, Function<EncoderInput, Tensor> work, Consumer<float[]> check) {
    return GpuMemory.retrying(
        () -> {
          try (NoGradGuard guard = new NoGradGuard();
              PointerScope scope = new PointerScope()) {
            float[] values = Torch.toFloats(work.apply(Inputs.of(encoder.device(), batch)));
            check.accept(values);
            return values;
          }
        });
  }

  /** What is measured on a data set: of a language model the answers too that it asks for. */
  static Schema schema(TaskHead head, EncodedDataset data) {
    return data.answers() == null ? head.schema() : data.answers().schema();
  }

  /** What writes texts with modules in the encoder, which is a decoder, without dropout. */
  Generator generator(PeftModules modules, Tokenizer tokenizer) {
    modules.begin(ForwardPass.evaluation(tape));
    return new Generator((Decoder) encoder, tokenizer, modules);
  }

  /** Checks what comes of a batch, row by row; of the encoder alone where there is no head. */
  private void requireFinite(float[] values, Batch batch, PeftModules modules, TaskHead head) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        throw new DivergedException(
            "the %s for example %d is %s: %s; what was trained has diverged, or a weight is damaged"
                .formatted(
                    head == null ? "encoder's output" : "prediction",
                    batch.indices()[i / (values.length / batch.examples())],
                    values[i],
                    FirstNonFinite.describe(encoder, modules, head, null, tape, batch, false)));
      }
    }
  }

  /**
   * Quality on a labelled set, without dropout.
   *
   * @param data at least one example, all labelled
   */
  public Evaluation evaluate(PeftModules modules, TaskHead head, EncodedDataset data) {
    return evaluate(modules, head, data, done -> {});
  }

  /**
   * The same for work that takes long.
   *
   * @param progress is given the number of examples that are done
   */
  public Evaluation evaluate(
      PeftModules modules, TaskHead head, EncodedDataset data, IntConsumer progress) {
    return Evaluation.of(outputs(modules, head, data, null, progress), data.targets());
  }

  /**
   * What the supernet predicts with all but a subset of its modules switched off; see {@link
   * SubsetPredictions}.
   *
   * @param progress is given the number of examples that are done
   */
  public List<Predictions> predict(
      PeftModules modules,
      TaskHead head,
      EncodedDataset data,
      List<List<Candidate>> subsets,
      IntConsumer progress) {
    // Of runs that are trained in step the others are anywhere now.
    Checkpoints own = inStep == null ? checkpoints : Checkpoints.NONE;
    try (SubsetPredictions passes =
        new SubsetPredictions(encoder, modules, head, tape, subsets, data)) {
      own.add(SUBSETS, passes::exchange);
      while (passes.next()) {
        try {
          progress.accept(passes.done());
        } catch (CancellationException e) {
          own.save();
          throw e;
        }
        if (own.due(passes.batches())) {
          own.save();
        }
      }
      return passes.predictions();
    } finally {
      own.remove(SUBSETS);
    }
  }

  /**
   * What a head sees of the encoder as it is, [n · width], in the set's order.
   *
   * @param progress is given the number of examples that are done
   */
  public float[] features(PeftModules modules, EncodedDataset data, IntConsumer progress) {
    int width = Head.width(encoder.config().hidden(), data.towers());
    float[] features = new float[Math.multiplyExact(data.size(), width)];
    modules.begin(ForwardPass.evaluation(tape));
    int done = 0;
    for (Batch batch : Inputs.batches(encoder.device(), data)) {
      float[] rows =
          predicted(
              batch,
              input ->
                  Head.features(
                      Pooling.of(encoder.config()).of(encoder.forward(input, modules), input),
                      batch.towers()),
              values -> requireFinite(values, batch, modules, null));
      for (int i = 0; i < batch.examples(); i++) {
        System.arraycopy(rows, i * width, features, batch.indices()[i] * width, width);
      }
      done += batch.examples();
      progress.accept(done);
    }
    return features;
  }

  /**
   * {@return the mean loss that a training makes less: on classes by their weights and with label
   * smoothing, of which an {@link #evaluate evaluation}'s knows neither; of a language model
   * without smoothing}
   */
  double objective(PeftModules modules, TaskHead head, EncodedDataset data) {
    return head.objective(evaluate(modules, head, data), data.targets(), settings.labelSmoothing());
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

  /** Hidden states of the last layer. */
  private Tensor hidden(Batch batch, EncoderInput input, PeftModules modules, FrozenPrefix prefix) {
    if (prefix == null) {
      return encoder.forward(input, modules);
    }
    Tensor x = prefix.apply(batch, input, modules);
    return encoder.layers(prefix.layers(), encoder.config().layers(), x, input, modules);
  }

  @Override
  public void close() {
    tape.close();
  }
}
