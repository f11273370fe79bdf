package org.prunepeft.train.internal;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.internal.Batch;
import org.prunepeft.data.internal.Batches;
import org.prunepeft.data.internal.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.internal.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.internal.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;

/**
 * Trains modules and head on a frozen encoder, and evaluates them. Keeps nothing between calls but
 * scratch memory. Not for two threads at once.
 */
public final class Trainer implements AutoCloseable {
  private static final int EVALUATION_BATCH = 64;

  /** A progress bar should not stand still for longer. */
  private static final long MOST_NANOS_UNREAD = 200_000_000;

  private final Encoder encoder;
  private final TrainingSettings settings;
  private final GradientPasses.Mode mode;
  private final Tape tape = new Tape();

  /**
   * @param encoder stays the caller's
   */
  public Trainer(Encoder encoder, TrainingSettings settings) {
    this(encoder, settings, GradientPasses.Mode.of(encoder.device()));
  }

  /** With passes made in another way than that of the encoder's device. */
  Trainer(Encoder encoder, TrainingSettings settings, GradientPasses.Mode mode) {
    this.encoder = encoder;
    this.settings = settings;
    this.mode = mode;
  }

  /**
   * One training.
   *
   * @param modules what is trained in the encoder; may hold none
   * @param head trained too
   * @param data training examples
   * @param epochs 1 or more
   * @param seed of the order of examples and of dropout
   * @param validation null: the last epoch's weights stay; else those of the epoch with the best
   *     primary metric, the earlier one of two
   * @param encoder the encoder's own weights, in full fine-tuning; null: they are frozen
   */
  public record Run(
      PeftModules modules,
      Head head,
      EncodedDataset data,
      int epochs,
      long seed,
      EncodedDataset validation,
      FlatParameters encoder) {
    public Run {
      if (epochs < 1) {
        throw new IllegalArgumentException("epochs must be at least 1, got " + epochs);
      }
    }

    /** On a frozen encoder. */
    public Run(
        PeftModules modules,
        Head head,
        EncodedDataset data,
        int epochs,
        long seed,
        EncodedDataset validation) {
      this(modules, head, data, epochs, seed, validation, null);
    }
  }

  /**
   * How a training went.
   *
   * @param validation the best result; null without validation
   * @param bestEpoch the one whose weights are kept, 1-based; the last one without validation
   * @param epochs how many were trained: fewer than the run's if it ended early
   */
  public record Result(Evaluation validation, int bestEpoch, int epochs) {}

  /** How many steps of the optimiser a run has, if it does not end early. */
  public int steps(Run run) {
    return run.epochs * new Batches(run.data, settings.examplesPerStep()).count();
  }

  private List<ParameterGroup> groups(Run run) {
    List<ParameterGroup> groups = new ArrayList<>();
    run.modules
        .groups()
        .forEach(
            (type, parameters) ->
                groups.add(
                    new ParameterGroup(type, parameters, settings.moduleLearningRate(type))));
    if (run.encoder != null) {
      groups.add(new ParameterGroup("encoder", run.encoder, settings.encoderLearningRate()));
    }
    groups.add(headGroup(settings, run.head));
    return groups;
  }

  static ParameterGroup headGroup(TrainingSettings settings, Head head) {
    return new ParameterGroup("head", head.parameters(), settings.headLearningRate());
  }

  /**
   * Trains. The head of a regression is no longer standardised afterwards.
   *
   * @param statistics gathers what criteria need, while AdaLoRA's ranks stay as they are; null:
   *     nothing is gathered
   * @throws CancellationException if the listener says so
   * @throws IllegalStateException if the loss is not finite
   */
  Result train(Run run, StepListener listener, RoundStatistics statistics) {
    Batches batches = new Batches(run.data, settings.examplesPerStep());
    List<ParameterGroup> groups = groups(run);
    int steps = steps(run);
    int step = 0;
    int epoch = 0;
    int bestEpoch = 0;
    Evaluation best = null;
    try (FrozenPrefix prefix = prefix(run, run.data);
        FrozenPrefix validationPrefix = prefix(run, run.validation);
        GradientPasses passes = passes(run, prefix);
        Optimizer optimizer = new Optimizer(settings, groups);
        // Where modules are judged as wholes, what AdaLoRA's budget leaves of them would blur it.
        RankAllocator ranks = statistics == null ? RankAllocator.of(run.modules, steps) : null;
        Snapshot snapshot = run.validation == null ? null : new Snapshot(groups)) {
      Unread unread = new Unread(passes.losses(), listener, steps);
      while (epoch < run.epochs && (best == null || !outOfPatience(epoch - bestEpoch, run))) {
        epoch++;
        double lossSum = 0;
        for (Batch batch : batches.shuffled(run.seed, epoch)) {
          if (listener.cancelled()) {
            unread.read();
            throw new CancellationException("cancelled at step " + step + " of " + steps);
          }
          double factor = settings.rateFactor(step, steps);
          passes.step(batch, step, statistics);
          step++;
          if (ranks != null) {
            ranks.observe(step);
          }
          optimizer.step(factor);
          if (ranks != null) {
            ranks.allocate(step);
          }
          unread.add(step, factor, batch.rows());
          if (unread.due()) {
            lossSum += unread.read();
          }
        }
        lossSum += unread.read();
        Evaluation validation = null;
        if (run.validation != null) {
          validation =
              Evaluation.of(
                  predict(run.modules, run.head, run.validation, validationPrefix),
                  run.validation.targets());
          // Before the last choice, AdaLoRA has more singular values than the budget allows.
          boolean within = ranks == null || ranks.settled(step);
          if (within && (best == null || validation.primary() > best.primary())) {
            best = validation;
            bestEpoch = epoch;
            snapshot.take();
          }
        }
        listener.epoch(epoch, run.epochs, lossSum / run.data.size(), validation);
      }
      if (best != null) {
        snapshot.restore();
      }
      run.head.fold();
      return new Result(best, best == null ? epoch : bestEpoch, epoch);
    }
  }

  private boolean outOfPatience(int epochsSinceBest, Run run) {
    return run.validation != null
        && settings.earlyStoppingPatience() > 0
        && epochsSinceBest >= settings.earlyStoppingPatience();
  }

  /** Trains without gathering statistics; see the other method. */
  public Result train(Run run, StepListener listener) {
    return train(run, listener, null);
  }

  /**
   * The forward and backward passes of one step, for itself; the gradients are left in the
   * parameters.
   *
   * @return the mean loss
   */
  double step(Run run, Batch batch, int step, FrozenPrefix prefix, RoundStatistics statistics) {
    try (GradientPasses passes = passes(run, prefix)) {
      passes.step(batch, step, statistics);
      return passes.losses().read()[0];
    }
  }

  private GradientPasses passes(Run run, FrozenPrefix prefix) {
    return new GradientPasses(encoder, settings, run, prefix, tape, mode);
  }

  /** Steps whose losses have not been read yet, and who is told of them. */
  private static final class Unread {
    private record Step(int number, double factor, int rows) {}

    private final StepLosses losses;
    private final StepListener listener;
    private final int steps;
    private final List<Step> unread = new ArrayList<>();
    private long lastRead = System.nanoTime();

    Unread(StepLosses losses, StepListener listener, int steps) {
      this.losses = losses;
      this.listener = listener;
      this.steps = steps;
    }

    void add(int number, double factor, int rows) {
      unread.add(new Step(number, factor, rows));
    }

    boolean due() {
      return losses.full() || System.nanoTime() - lastRead > MOST_NANOS_UNREAD;
    }

    /** Tells of each step, and returns the sum of the losses over the examples. */
    double read() {
      double sum = 0;
      double[] values = losses.read();
      for (int i = 0; i < values.length; i++) {
        Step step = unread.get(i);
        if (!Double.isFinite(values[i])) {
          throw new IllegalStateException(
              "the loss is "
                  + values[i]
                  + " at step "
                  + step.number
                  + "; lower the learning rates");
        }
        sum += values[i] * step.rows;
        listener.step(step.number, steps, values[i], step.factor);
      }
      unread.clear();
      lastRead = System.nanoTime();
      return sum;
    }
  }

  /**
   * What modules and head tell of each example, without dropout.
   *
   * @param data targets are not looked at
   */
  public Predictions predict(PeftModules modules, Head head, EncodedDataset data) {
    return predict(modules, head, data, null);
  }

  private Predictions predict(
      PeftModules modules, Head head, EncodedDataset data, FrozenPrefix prefix) {
    int width = head.schema().outputs();
    float[] outputs = new float[Math.multiplyExact(data.size(), width)];
    modules.begin(ForwardPass.evaluation(tape));
    for (Batch batch : new Batches(data, EVALUATION_BATCH).ordered()) {
      try (NoGradGuard guard = new NoGradGuard();
          PointerScope scope = new PointerScope()) {
        EncoderInput input = input(batch);
        Tensor pooled = Head.pool(hidden(batch, input, modules, prefix), input);
        float[] logits = Torch.toFloats(head.logits(pooled));
        for (int i = 0; i < batch.rows(); i++) {
          System.arraycopy(logits, i * width, outputs, batch.indices()[i] * width, width);
        }
      }
    }
    return new Predictions(head.schema(), outputs);
  }

  /**
   * Quality on a labelled set, without dropout.
   *
   * @param data at least one example, all labelled
   */
  public Evaluation evaluate(PeftModules modules, Head head, EncodedDataset data) {
    return Evaluation.of(predict(modules, head, data), data.targets());
  }

  /** Pooled outputs of the encoder as it is, [n · hidden], in the set's order. */
  public float[] pooled(
      PeftModules modules, EncodedDataset data, java.util.function.IntConsumer progress) {
    int hidden = encoder.config().hidden();
    float[] pooled = new float[data.size() * hidden];
    modules.begin(ForwardPass.evaluation(tape));
    int done = 0;
    for (Batch batch : new Batches(data, EVALUATION_BATCH).ordered()) {
      try (NoGradGuard guard = new NoGradGuard();
          PointerScope scope = new PointerScope()) {
        EncoderInput input = input(batch);
        float[] rows = Torch.toFloats(Head.pool(encoder.forward(input, modules), input));
        for (int i = 0; i < batch.rows(); i++) {
          System.arraycopy(rows, i * hidden, pooled, batch.indices()[i] * hidden, hidden);
        }
      }
      done += batch.rows();
      progress.accept(done);
    }
    return pooled;
  }

  /**
   * Keeps what the layers below the lowest module say of the data, where there are such layers and
   * the data comes more than once.
   */
  private FrozenPrefix prefix(Run run, EncodedDataset data) {
    int lowest = run.modules.candidates().stream().mapToInt(Candidate::layer).min().orElse(0);
    if (data == null
        || run.epochs == 1
        || run.encoder != null
        || lowest == 0
        || settings.activationCacheMegabytes() == 0) {
      return null;
    }
    long bytes = (long) settings.activationCacheMegabytes() << 20;
    return new FrozenPrefix(encoder, lowest, data, bytes, settings.activationCacheHalf());
  }

  /** Hidden states of the last layer. */
  private Tensor hidden(Batch batch, EncoderInput input, PeftModules modules, FrozenPrefix prefix) {
    if (prefix == null) {
      return encoder.forward(input, modules);
    }
    Tensor x = prefix.apply(batch, input, modules);
    return encoder.layers(prefix.layers(), encoder.config().layers(), x, input, modules);
  }

  private EncoderInput input(Batch batch) {
    return EncoderInput.of(
        encoder.device(), batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
  }

  @Override
  public void close() {
    tape.close();
  }
}
