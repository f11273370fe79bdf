package org.prunepeft.train.internal;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.data.internal.Batch;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.OutputMagnitudes;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.TrainingSettings;

/**
 * The forward and backward passes of a training, which add a batch's gradients to those of the
 * parameters.
 *
 * <p>On a GPU what lies above the embeddings is some hundreds of kernels, of which those of a small
 * encoder take less time than their launches; so it is recorded, once for each shape of a batch.
 * Batches are padded to few lengths, and a recording's batch lies in tensors of its own, into which
 * each batch of the shape is copied. Dropout's masks follow from the step's number, which lies
 * there too. Passes that measure the modules' outputs and those of full fine-tuning go call by
 * call.
 */
final class GradientPasses implements AutoCloseable {
  /**
   * How passes are made.
   *
   * @param recorder null: they go call by call
   * @param lengthMultiple batches are padded to a multiple of so many tokens, as far as the encoder
   *     has positions
   * @param losses of how many steps are kept before they are read
   */
  record Mode(RecordedWork.Recorder recorder, int lengthMultiple, int losses) {
    private static final Mode CALLS = new Mode(null, 1, 1);

    /** Rows of 16 tokens also suit the kernels of attention. */
    private static final int GPU_LENGTHS = 16;

    private static final int GPU_LOSSES = 32;

    /** That of a device. */
    static Mode of(ComputeDevice device) {
      return device.isCuda()
          ? new Mode(RecordedWork.recorder(device).orElse(null), GPU_LENGTHS, GPU_LOSSES)
          : CALLS;
    }
  }

  /** With 512 positions there are 32 lengths; and the last batch of an epoch has fewer rows. */
  private static final int MOST_RECORDINGS = 64;

  private final Encoder encoder;
  private final TrainingSettings settings;
  private final Trainer.Run run;
  private final FrozenPrefix prefix;
  private final Tape tape;
  private final Mode mode;
  private final StepLosses losses;

  /** The one that was used last comes last. */
  private final Map<Shape, Recorded> recordings = new LinkedHashMap<>(16, 0.75f, true);

  /** Whether passes are recorded: not any more once it failed for a shape. */
  private boolean recording;

  /**
   * What numbers a recording keeps.
   *
   * @param share that the gradients are multiplied by
   */
  private record Shape(int rows, int length, boolean padded, double share) {}

  /**
   * @param prefix null: all layers are computed each time
   * @param tape for passes that are not recorded; stays the caller's
   */
  GradientPasses(
      Encoder encoder,
      TrainingSettings settings,
      Trainer.Run run,
      FrozenPrefix prefix,
      Tape tape,
      Mode mode) {
    this.encoder = encoder;
    this.settings = settings;
    this.run = run;
    this.prefix = prefix;
    this.tape = tape;
    this.mode = mode;
    losses = new StepLosses(encoder.device(), mode.losses);
    recording = mode.recorder != null;
  }

  /** The mean losses of the steps, to be read before there are too many. */
  StepLosses losses() {
    return losses;
  }

  /**
   * The passes of what one step of the optimiser sees; the gradients of its mean loss are added to
   * those of the parameters.
   *
   * @param step 0-based; names dropout's masks
   * @param statistics null: nothing is gathered
   */
  void step(Batch batch, int step, RoundStatistics statistics) {
    losses.begin();
    List<Batch> parts = batch.split(run.data(), settings.batchSize());
    for (int i = 0; i < parts.size(); i++) {
      double share = (double) parts.get(i).rows() / batch.rows();
      pass(
          padded(parts.get(i)),
          step,
          i,
          share,
          statistics == null ? null : statistics.magnitudes());
    }
    if (statistics != null) {
      statistics.stepDone();
    }
  }

  private Batch padded(Batch batch) {
    int multiple = mode.lengthMultiple;
    int length = (batch.length() + multiple - 1) / multiple * multiple;
    return batch.padded(Math.max(batch.length(), Math.min(length, encoder.config().maxTokens())));
  }

  /**
   * @param share of the step's examples: the batch's mean loss counts so much
   */
  private void pass(
      Batch batch, int step, int microBatch, double share, OutputMagnitudes magnitudes) {
    try (PointerScope scope = new PointerScope()) {
      EncoderInput input =
          EncoderInput.of(
              encoder.device(),
              batch.ids(),
              batch.types(),
              batch.mask(),
              batch.rows(),
              batch.length());
      ForwardPass pass =
          new ForwardPass(
              tape,
              true,
              run.seed(),
              step,
              microBatch,
              magnitudes,
              input.rowMask(),
              input.tokens());
      run.modules().begin(pass);
      Tensor x = prefix == null ? encoder.embed(input) : prefix.apply(batch, input, run.modules());
      Tensor targets = run.head().targets(batch.targets());
      Recorded recorded =
          magnitudes != null || run.encoder() != null
              ? null
              : recorded(
                  new Shape(batch.rows(), batch.length(), input.padded(), share),
                  x,
                  input,
                  targets);
      losses.add(
          recorded == null
              ? gradients(pass, x, input, targets, share)
              : recorded.run(x, input, targets, step, microBatch),
          share);
    } finally {
      tape.clear();
    }
  }

  /**
   * Adds the gradients of the loss, by its share, to those of the parameters.
   *
   * @param x what the first layer that is computed here takes in, [B·T, hidden]
   * @return the loss, []
   */
  private Tensor gradients(
      ForwardPass pass, Tensor x, EncoderInput input, Tensor targets, double share) {
    run.modules().begin(pass);
    int from = prefix == null ? 0 : prefix.layers();
    Tensor hidden = encoder.layers(from, encoder.config().layers(), x, input, run.modules());
    Tensor logits = run.head().logits(Head.pool(hidden, input));
    Tensor loss = run.head().loss(logits, targets, settings.labelSmoothing());
    Tensor penalty = run.modules().penalty();
    (penalty == null ? loss : loss.add(penalty)).mul(new Scalar(share)).backward();
    return loss.detach();
  }

  /** Null: a pass of that shape goes call by call. */
  private Recorded recorded(Shape shape, Tensor x, EncoderInput input, Tensor targets) {
    Recorded known = recordings.get(shape);
    if (!recording) {
      return known != null && known.work.recorded() ? known : null;
    }
    if (known != null) {
      return known;
    }
    if (recordings.size() == MOST_RECORDINGS) {
      Iterator<Recorded> eldest = recordings.values().iterator();
      eldest.next().close();
      eldest.remove();
    }
    Recorded made = new Recorded(x, input, targets, shape.share);
    recordings.put(shape, made);
    return made;
  }

  /** The pass of one shape, on tensors that stay. */
  private final class Recorded implements AutoCloseable {
    /** Its scratch memory has to stay too. */
    private final Tape tape = new Tape();

    private final PointerScope scope;
    private final Tensor x;
    private final EncoderInput input;
    private final Tensor targets;

    /** [2] int32, step and micro-batch. */
    private final Tensor counter;

    /** [] float32. */
    private final Tensor loss;

    private final double share;
    private final RecordedWork work;

    /** With tensors like these. */
    Recorded(Tensor x, EncoderInput input, Tensor targets, double share) {
      this.share = share;
      try (PointerScope own = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        scope = own;
        own.extend();
        this.x = x.detach().clone();
        this.targets = targets.clone();
        this.input =
            new EncoderInput(
                input.ids().clone(),
                input.types().clone(),
                input.mask().clone(),
                input.rowMask().clone(),
                input.padded(),
                input.tokens(),
                input.largestId());
        ComputeDevice device = input.device();
        counter = torch.zeros(new long[] {2}, device.options(torch.ScalarType.Int));
        loss = torch.zeros(new long[0], device.options(torch.ScalarType.Float));
      }
      List<Tensor> changed = new ArrayList<>(List.of(loss, run.head().parameters().gradients()));
      run.modules().groups().values().stream().map(FlatParameters::gradients).forEach(changed::add);
      work = new RecordedWork(mode.recorder, this::pass, changed);
    }

    /** The loss, good until the next call. */
    Tensor run(Tensor x, EncoderInput input, Tensor targets, int step, int microBatch) {
      try (NoGradGuard guard = new NoGradGuard()) {
        this.x.copy_(x);
        this.targets.copy_(targets);
        this.input.ids().copy_(input.ids());
        this.input.types().copy_(input.types());
        this.input.mask().copy_(input.mask());
        this.input.rowMask().copy_(input.rowMask());
        counter.select(0, 0).fill_(new Scalar(step));
        counter.select(0, 1).fill_(new Scalar(microBatch));
      }
      work.run();
      recording &= !work.givenUp();
      return loss;
    }

    /** What is recorded: it reads no number that may change. */
    private void pass() {
      try (PointerScope temporary = new PointerScope()) {
        ForwardPass pass =
            new ForwardPass(tape, true, run.seed(), 0, 0, null, input.rowMask(), 0, counter);
        Tensor own = gradients(pass, x, input, targets, share);
        try (NoGradGuard guard = new NoGradGuard()) {
          loss.copy_(own);
        }
      } finally {
        tape.clear();
      }
    }

    @Override
    public void close() {
      work.close();
      tape.close();
      scope.close();
    }
  }

  @Override
  public void close() {
    recordings.values().forEach(Recorded::close);
    recordings.clear();
    losses.close();
  }
}
