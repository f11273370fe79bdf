package org.prunepeft.train;

import java.util.Arrays;
import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.data.Batch;
import org.prunepeft.data.Batches;
import org.prunepeft.data.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.PeftModules;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * Trains modules and head on a frozen encoder, and evaluates them. Keeps nothing between calls but
 * scratch memory. Not for two threads at once.
 */
public final class Trainer implements AutoCloseable {
  private static final int EVALUATION_BATCH = 64;

  private final Encoder encoder;
  private final TrainingSettings settings;
  private final Tape tape = new Tape();

  /**
   * @param encoder stays the caller's
   */
  public Trainer(Encoder encoder, TrainingSettings settings) {
    this.encoder = encoder;
    this.settings = settings;
  }

  /**
   * One training.
   *
   * @param modules what is trained in the encoder; may hold none
   * @param head trained too
   * @param data training examples
   * @param epochs 1 or more
   * @param seed of the order of examples and of dropout
   * @param validation null: the last epoch's weights stay; else those of the epoch with the highest
   *     accuracy, the earlier one of two
   */
  public record Run(
      PeftModules modules,
      Head head,
      EncodedDataset data,
      int epochs,
      long seed,
      EncodedDataset validation) {
    public Run {
      if (epochs < 1) {
        throw new IllegalArgumentException("epochs must be at least 1, got " + epochs);
      }
    }
  }

  /** How many steps a run has. */
  public int steps(Run run) {
    return run.epochs * ((run.data.size() + settings.batchSize() - 1) / settings.batchSize());
  }

  /**
   * Trains.
   *
   * @param statistics gathers what criteria need; null: nothing is gathered
   * @return the best validation result, or null without validation
   * @throws CancellationException if the listener says so
   * @throws IllegalStateException if the loss is not finite
   */
  Evaluation train(Run run, StepListener listener, RoundStatistics statistics) {
    Batches batches = new Batches(run.data, settings.batchSize());
    int steps = steps(run);
    int step = 0;
    Evaluation best = null;
    try (Optimizer optimizer = Optimizer.of(settings, run.modules, run.head);
        Snapshot snapshot = new Snapshot(run.modules, run.head)) {
      for (int epoch = 1; epoch <= run.epochs; epoch++) {
        double lossSum = 0;
        for (Batch batch : batches.shuffled(run.seed, epoch)) {
          if (listener.cancelled()) {
            throw new CancellationException("cancelled at step " + step + " of " + steps);
          }
          double factor = settings.schedule().factor(step, steps, settings.warmupRatio());
          double loss = step(run, batch, step, statistics);
          if (!Double.isFinite(loss)) {
            throw new IllegalStateException(
                "the loss is " + loss + " at step " + (step + 1) + "; lower the learning rates");
          }
          optimizer.step(factor);
          lossSum += loss * batch.rows();
          step++;
          listener.step(step, steps, loss, factor);
        }
        Evaluation validation = null;
        if (run.validation != null) {
          validation = evaluate(run.modules, run.head, run.validation);
          if (best == null || validation.accuracy() > best.accuracy()) {
            best = validation;
            snapshot.take();
          }
        }
        listener.epoch(epoch, run.epochs, lossSum / run.data.size(), validation);
      }
      if (best != null) {
        snapshot.restore();
      }
    }
    return best;
  }

  /** Trains without gathering statistics; see the other method. */
  public Evaluation train(Run run, StepListener listener) {
    return train(run, listener, null);
  }

  /** Forward and backward of one batch; gradients are left in the parameters. */
  private double step(Run run, Batch batch, int step, RoundStatistics statistics) {
    try (PointerScope scope = new PointerScope()) {
      EncoderInput input = input(batch);
      run.modules.begin(
          new ForwardPass(
              tape,
              true,
              run.seed,
              step,
              statistics == null ? null : statistics.magnitudes(),
              input.rowMask(),
              input.tokens()));
      Tensor pooled = Head.pool(encoder.forward(input, run.modules), input);
      Tensor loss = torch.cross_entropy_loss(run.head.logits(pooled), labels(batch));
      loss.backward();
      if (statistics != null) {
        statistics.stepDone();
      }
      return loss.item_double();
    } finally {
      tape.clear();
    }
  }

  /**
   * Quality on a labelled set, without dropout.
   *
   * @param data at least one example
   */
  public Evaluation evaluate(PeftModules modules, Head head, EncodedDataset data) {
    int[] predictions = new int[data.size()];
    int[] gold = new int[data.size()];
    double loss = 0;
    modules.begin(ForwardPass.evaluation(tape));
    for (Batch batch : new Batches(data, EVALUATION_BATCH).ordered()) {
      try (NoGradGuard guard = new NoGradGuard();
          PointerScope scope = new PointerScope()) {
        EncoderInput input = input(batch);
        Tensor logits = head.logits(Head.pool(encoder.forward(input, modules), input));
        loss += torch.cross_entropy_loss(logits, labels(batch)).item_double() * batch.rows();
        long[] predicted =
            Torch.toLongs(logits.argmax(new org.bytedeco.pytorch.LongOptional(1), false));
        for (int i = 0; i < predicted.length; i++) {
          predictions[batch.indices()[i]] = (int) predicted[i];
          gold[batch.indices()[i]] = batch.labels()[i];
        }
      }
    }
    return evaluation(data.size(), loss / data.size(), gold, predictions);
  }

  /**
   * The head's scores, without dropout.
   *
   * @return [n][labels], in the set's order
   */
  public float[][] logits(PeftModules modules, Head head, EncodedDataset data) {
    float[][] logits = new float[data.size()][];
    modules.begin(ForwardPass.evaluation(tape));
    for (Batch batch : new Batches(data, EVALUATION_BATCH).ordered()) {
      try (NoGradGuard guard = new NoGradGuard();
          PointerScope scope = new PointerScope()) {
        EncoderInput input = input(batch);
        float[] rows =
            Torch.toFloats(head.logits(Head.pool(encoder.forward(input, modules), input)));
        int labels = rows.length / batch.rows();
        for (int i = 0; i < batch.rows(); i++) {
          logits[batch.indices()[i]] = Arrays.copyOfRange(rows, i * labels, (i + 1) * labels);
        }
      }
    }
    return logits;
  }

  static Evaluation evaluation(int examples, double loss, int[] gold, int[] predictions) {
    return new Evaluation(
        examples,
        loss,
        Metrics.accuracy(gold, predictions),
        Metrics.macroF1(gold, predictions),
        predictions);
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

  private static EncoderInput input(Batch batch) {
    return EncoderInput.of(batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
  }

  private static Tensor labels(Batch batch) {
    return Torch.longs(Arrays.stream(batch.labels()).asLongStream().toArray(), batch.rows());
  }

  @Override
  public void close() {
    tape.close();
  }
}
