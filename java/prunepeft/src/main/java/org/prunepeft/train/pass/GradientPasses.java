package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.ForwardPass.Masks;
import org.prunepeft.peft.ForwardPass.Measurement;
import org.prunepeft.peft.OutputMagnitudes;
import org.prunepeft.peft.TrainingHook;
import org.prunepeft.peft.supernet.JointModules;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.GpuMemory;
import org.prunepeft.torch.RecordedWork;
import org.prunepeft.torch.Tape;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.TaskHead;

/**
 * The forward and backward passes of a training, which add a batch's gradients to those of the
 * parameters; or of several trainings on one encoder, whose batches go through it as one.
 *
 * <p>On a GPU what lies above the embeddings is some hundreds of kernels, of which those of a small
 * encoder take less time than their launches; so it is recorded, once for each shape of a batch.
 * Batches are padded to few lengths, and a recording's batch lies in tensors of its own, into which
 * each batch of the shape is copied. Dropout's masks follow from the step's number, which lies
 * there too. Passes that measure the modules' outputs, those with some modules switched off, those
 * of full fine-tuning and those of language models, whose labelled rows are counted, go call by
 * call.
 */
public final class GradientPasses implements AutoCloseable {
  /**
   * How passes are made.
   *
   * @param recorder null: they go call by call
   * @param lengthMultiple batches are padded to a multiple of so many tokens, as far as the encoder
   *     has positions
   * @param losses of how many steps are kept before they are read
   * @param leastUses a shape is recorded if it may be expected to come so often at least
   */
  public record Mode(
      RecordedWork.Recorder recorder, int lengthMultiple, int losses, int leastUses) {
    private static final Mode CALLS = new Mode(null, 1, 1, 0);

    /** Rows of 16 tokens also suit the kernels of attention. */
    private static final int GPU_LENGTHS = 16;

    private static final int GPU_LOSSES = 32;

    /** A recording costs some three passes. */
    private static final int GPU_USES = 8;

    /** That of a device. */
    public static Mode of(ComputeDevice device) {
      return device.isCuda()
          ? new Mode(RecordedWork.recorder(device).orElse(null), GPU_LENGTHS, GPU_LOSSES, GPU_USES)
          : CALLS;
    }
  }

  /** With 512 positions there are 32 lengths; and the last batch of an epoch has fewer rows. */
  private static final int MOST_RECORDINGS = 64;

  private final Encoder encoder;
  private final TrainingSettings settings;
  private final Tape tape;
  private final Mode mode;

  /** How often each shape has come. */
  private final Map<PassShape, Integer> met = new HashMap<>();

  /** The one that was used last comes last. */
  private final Map<PassShape, Recorded> recordings = new LinkedHashMap<>(16, 0.75f, true);

  /** Whether passes are recorded: not any more once it failed for a shape. */
  private boolean recording;

  /** A training whose passes are made. Itself alone is equal to it. */
  public static final class Member {
    private final TrainingRun run;
    private final FrozenPrefix prefix;
    private final StepLosses losses;
    private final List<TrainingHook> hooks;
    private final int steps;

    /**
     * @param prefix null: all layers are computed each time; of all members or of none, and of as
     *     many layers
     * @param losses of its steps, to be read before there are too many
     * @param hooks of its modules
     * @param steps how many it will have
     */
    public Member(
        TrainingRun run,
        FrozenPrefix prefix,
        StepLosses losses,
        List<TrainingHook> hooks,
        int steps) {
      this.run = run;
      this.prefix = prefix;
      this.losses = losses;
      this.hooks = hooks;
      this.steps = steps;
    }
  }

  /**
   * What one step of a member's optimiser sees.
   *
   * @param step 0-based; names dropout's masks
   * @param statistics null: nothing is gathered
   */
  public record Step(Member member, Batch batch, int step, RoundStatistics statistics) {}

  /** A part of such a batch, whose mean loss counts by its share of the step's weight. */
  private record MicroBatch(
      Member member,
      Batch batch,
      int step,
      int microBatch,
      double share,
      OutputMagnitudes magnitudes) {
    MicroBatch measuringTo(OutputMagnitudes others) {
      return others == magnitudes
          ? this
          : new MicroBatch(member, batch, step, microBatch, share, others);
    }
  }

  /**
   * What a recording is of: whose, and what numbers it keeps.
   *
   * @param rows of each member
   * @param shares that the gradients are multiplied by
   */
  private record PassShape(
      List<Member> members,
      List<Integer> rows,
      List<Double> shares,
      int length,
      boolean padded,
      boolean starts) {}

  /**
   * @param tape for passes that are not recorded; stays the caller's
   */
  public GradientPasses(Encoder encoder, TrainingSettings settings, Tape tape, Mode mode) {
    this.encoder = encoder;
    this.settings = settings;
    this.tape = tape;
    this.mode = mode;
    recording = mode.recorder != null;
  }

  /**
   * The passes of a step of each of some members, in an order that stays; the gradients of its mean
   * loss are added to those of its parameters.
   */
  public void step(List<Step> steps) {
    steps.forEach(step -> step.member.losses.begin());
    microBatches(steps).forEach(this::pass);
    for (Step step : steps) {
      if (step.statistics != null) {
        step.statistics.stepDone();
      }
    }
  }

  /**
   * Of a step that was made before the run was cut off: lets the members' prefixes keep what they
   * kept of it then. They have prefixes.
   */
  public void fillPrefix(List<Step> steps) {
    for (List<MicroBatch> parts : microBatches(steps)) {
      try (PointerScope scope = new PointerScope()) {
        EncoderInput input =
            Inputs.of(
                encoder.device(),
                Batch.concatenated(parts.stream().map(MicroBatch::batch).toList()));
        Joint joint = new Joint(parts, tape, input);
        joint.begin(null);
        embedded(parts, joint, input);
      } finally {
        tape.clear();
      }
    }
  }

  /** What goes through the encoder together, one after another. */
  private List<List<MicroBatch>> microBatches(List<Step> steps) {
    List<List<Batch>> batches = new ArrayList<>();
    int most = 0;
    for (Step step : steps) {
      batches.add(step.batch.split(step.member.run.data(), settings.batchSize()));
      most = Math.max(most, batches.get(batches.size() - 1).size());
    }
    List<List<MicroBatch>> together = new ArrayList<>();
    for (int microBatch = 0; microBatch < most; microBatch++) {
      List<MicroBatch> parts = new ArrayList<>();
      for (int i = 0; i < steps.size(); i++) {
        if (microBatch < batches.get(i).size()) {
          parts.add(part(steps.get(i), batches.get(i).get(microBatch), microBatch));
        }
      }
      together.add(padded(parts));
    }
    return together;
  }

  private static MicroBatch part(Step step, Batch batch, int microBatch) {
    return new MicroBatch(
        step.member,
        batch,
        step.step,
        microBatch,
        (double) batch.weight() / Math.max(1, step.batch.weight()),
        step.statistics == null ? null : step.statistics.magnitudes());
  }

  /** All to the length of the longest. */
  private List<MicroBatch> padded(List<MicroBatch> parts) {
    int longest = parts.stream().mapToInt(part -> part.batch.length()).max().orElseThrow();
    int multiple = mode.lengthMultiple;
    int whole = (longest + multiple - 1) / multiple * multiple;
    int length = Math.max(longest, Math.min(whole, encoder.config().maxTokens()));
    return parts.stream()
        .map(
            part ->
                new MicroBatch(
                    part.member,
                    part.batch.padded(length),
                    part.step,
                    part.microBatch,
                    part.share,
                    part.magnitudes))
        .toList();
  }

  /**
   * One pass. Where a GPU's memory is short and recordings hold some, in which calls have no part,
   * these are given up, and the pass is made once more.
   */
  private void pass(List<MicroBatch> parts) {
    try (PassUndo undo = undo(parts)) {
      try {
        pass(parts, undo);
        return;
      } catch (RuntimeException e) {
        if (!undo.isPossible() || !GpuMemory.freed(e)) {
          throw GpuMemory.explained(e);
        }
      }
      undo.undo();
    }
    close();
    recording = false;
    try (PassUndo undo = undo(parts)) {
      pass(parts, undo);
    } catch (RuntimeException e) {
      throw GpuMemory.explained(e);
    }
  }

  private PassUndo undo(List<MicroBatch> parts) {
    return new PassUndo(
        parts.stream().map(part -> part.member.run).toList(),
        recordings.values().stream().anyMatch(one -> one.work.recorded()));
  }

  private void pass(List<MicroBatch> given, PassUndo undo) {
    List<MicroBatch> parts =
        given.stream().map(part -> part.measuringTo(undo.apart(part.magnitudes))).toList();
    try (PointerScope scope = new PointerScope()) {
      EncoderInput input =
          Inputs.of(
              encoder.device(), Batch.concatenated(parts.stream().map(MicroBatch::batch).toList()));
      Joint joint = new Joint(parts, tape, input);
      joint.begin(null);
      Tensor x = embedded(parts, joint, input);
      List<Tensor> targets = new ArrayList<>();
      parts.forEach(part -> targets.add(part.member.run.head().targets(part.batch)));
      boolean calls =
          parts.stream()
              .anyMatch(
                  part ->
                      part.magnitudes != null
                          || part.member.run.encoder() != null
                          || part.batch.labels() != null);
      Recorded recorded = calls ? null : recorded(parts, x, input, targets);
      undo.begin(recorded != null && recorded.work.launchesAlone());
      List<Tensor> losses =
          recorded == null
              ? gradients(joint, x, input, targets)
              : recorded.run(parts, x, input, targets);
      undo.done();
      for (int i = 0; i < losses.size(); i++) {
        parts.get(i).member.losses.add(losses.get(i), parts.get(i).share);
      }
    } finally {
      tape.clear();
    }
  }

  /** What the first layer that is computed for all parts at once takes in. */
  private Tensor embedded(List<MicroBatch> parts, Joint joint, EncoderInput input) {
    if (parts.get(0).member.prefix == null) {
      return encoder.embed(input);
    }
    if (parts.size() == 1) {
      return parts.get(0).member.prefix.apply(parts.get(0).batch, input, joint.insertions);
    }
    TensorVector own = new TensorVector();
    for (MicroBatch part : parts) {
      own.push_back(
          part.member.prefix.apply(
              part.batch, Inputs.of(encoder.device(), part.batch), part.member.run.modules()));
    }
    return torch.cat(own, 0);
  }

  /** Parts as they go through the encoder together. */
  private static final class Joint {
    private final List<MicroBatch> parts;
    private final Tape tape;
    private final EncoderInput input;

    /** What sits in the encoder. */
    private final Insertions insertions;

    Joint(List<MicroBatch> parts, Tape tape, EncoderInput input) {
      this.parts = parts;
      this.tape = tape;
      this.input = input;
      List<PeftModules> modules = parts.stream().map(part -> part.member.run.modules()).toList();
      insertions =
          parts.size() == 1
              ? modules.get(0)
              : new JointModules(
                  tape,
                  modules,
                  parts.stream()
                      .mapToLong(part -> (long) part.batch.rows() * input.length())
                      .toArray());
    }

    /**
     * Gives the modules what the pass is for.
     *
     * @param counters [parts, 2] int32, step and micro-batch of each, for a recording; null: those
     *     of the parts
     */
    void begin(Tensor counters) {
      long first = 0;
      for (int i = 0; i < parts.size(); i++) {
        MicroBatch part = parts.get(i);
        part.member
            .run
            .modules()
            .begin(
                new ForwardPass(
                    tape,
                    counters == null
                        ? new Masks(part.member.run.seed(), part.step, part.microBatch, null)
                        : new Masks(part.member.run.seed(), 0, 0, counters.select(0, i)),
                    part.magnitudes == null
                        ? null
                        : new Measurement(
                            part.magnitudes,
                            input.rowMask().narrow(0, first, part.batch.rows()),
                            part.batch.tokens())));
        first += part.batch.rows();
      }
    }
  }

  /**
   * Adds the gradients of the losses, each by its share, to those of the parameters.
   *
   * @param joint whose modules know what the pass is for
   * @param x what the first layer that is computed here takes in, [B·T, hidden]
   * @return the parts' losses, [] each
   */
  private List<Tensor> gradients(Joint joint, Tensor x, EncoderInput input, List<Tensor> targets) {
    FrozenPrefix prefix = joint.parts.get(0).member.prefix;
    int from = prefix == null ? 0 : prefix.layers();
    Tensor hidden = encoder.layers(from, encoder.config().layers(), x, input, joint.insertions);
    Tensor reduced = joint.parts.get(0).member.run.head().reduced(hidden, input);
    long ofRow = reduced.size(0) / input.rows();
    List<Tensor> losses = new ArrayList<>();
    Tensor sum = null;
    long first = 0;
    for (int i = 0; i < joint.parts.size(); i++) {
      MicroBatch part = joint.parts.get(i);
      TaskHead head = part.member.run.head();
      Tensor own =
          joint.parts.size() == 1
              ? reduced
              : reduced.narrow(0, first * ofRow, part.batch.rows() * ofRow);
      Tensor loss =
          head.loss(
              joint.tape, own, targets.get(i), part.batch.towers(), settings.labelSmoothing());
      losses.add(loss.detach());
      for (TrainingHook hook : part.member.hooks) {
        Tensor penalty = hook.penalty();
        loss = penalty == null ? loss : loss.add(penalty);
      }
      Tensor share = loss.mul(new Scalar(part.share));
      sum = sum == null ? share : sum.add(share);
      first += part.batch.rows();
    }
    sum.backward();
    return losses;
  }

  /** Null: the pass goes call by call. */
  private Recorded recorded(
      List<MicroBatch> parts, Tensor x, EncoderInput input, List<Tensor> targets) {
    PassShape shape =
        new PassShape(
            parts.stream().map(MicroBatch::member).toList(),
            parts.stream().map(part -> part.batch.rows()).toList(),
            parts.stream().map(MicroBatch::share).toList(),
            input.length(),
            input.padded(),
            input.starts() != null);
    Recorded known = recordings.get(shape);
    // Predictions, too, may have had them given up.
    if (recording && recordings.values().stream().anyMatch(one -> one.work.givenUp())) {
      recording = false;
      closeUnrecorded();
      known = recordings.get(shape);
    }
    if (!recording) {
      return known != null && known.work.recorded() ? known : null;
    }
    if (known != null || !worthwhile(shape, parts.get(0))) {
      return known;
    }
    if (recordings.size() == MOST_RECORDINGS) {
      Iterator<Recorded> eldest = recordings.values().iterator();
      eldest.next().close();
      eldest.remove();
    }
    Recorded made = new Recorded(parts, x, input, targets);
    recordings.put(shape, made);
    return made;
  }

  /** None of them will be recorded any more, and their tensors hold memory. */
  private void closeUnrecorded() {
    recordings
        .values()
        .removeIf(
            one -> {
              boolean unused = !one.work.recorded();
              if (unused) {
                one.close();
              }
              return unused;
            });
  }

  /** Whether a shape that has come once more may be expected to come often enough. */
  private boolean worthwhile(PassShape shape, MicroBatch part) {
    int times = met.merge(shape, 1, Integer::sum);
    int left = part.member.steps - part.step - 1;
    return mode.leastUses == 0
        || times > 1 && (double) times / (part.step + 1) * left >= mode.leastUses;
  }

  /** The pass of one shape, on tensors that stay. */
  private final class Recorded implements AutoCloseable {
    /** Its scratch memory has to stay too. */
    private final Tape tape = new Tape(settings.gradientCheckpointing());

    private final PointerScope scope;
    private final List<MicroBatch> parts;
    private final Tensor x;
    private final EncoderInput input;
    private final List<Tensor> targets = new ArrayList<>();

    /** [parts, 2] int32, step and micro-batch of each. */
    private final Tensor counters;

    /** [] float32 each. */
    private final List<Tensor> losses = new ArrayList<>();

    private final RecordedWork work;

    /** With tensors like these. */
    Recorded(List<MicroBatch> parts, Tensor x, EncoderInput input, List<Tensor> targets) {
      this.parts = parts;
      try (PointerScope own = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        scope = own;
        own.extend();
        this.x = x.detach().clone();
        this.input =
            new EncoderInput(
                input.ids().clone(),
                input.types().clone(),
                input.mask().clone(),
                input.rowMask().clone(),
                input.tokens(),
                input.largestId(),
                input.starts() == null ? null : input.starts().clone(),
                input.longest());
        ComputeDevice device = input.device();
        counters = torch.zeros(new long[] {parts.size(), 2}, device.options(torch.ScalarType.Int));
        for (Tensor target : targets) {
          this.targets.add(target.clone());
          losses.add(torch.zeros(new long[0], device.options(torch.ScalarType.Float)));
        }
      }
      List<Tensor> changed = new ArrayList<>(losses);
      for (MicroBatch part : parts) {
        changed.add(part.member.run.head().parameters().gradients());
        changed.addAll(part.member.run.modules().gradients());
      }
      work = new RecordedWork(mode.recorder, this::pass, changed);
    }

    /** The losses, good until the next call. */
    List<Tensor> run(List<MicroBatch> parts, Tensor x, EncoderInput input, List<Tensor> targets) {
      try (NoGradGuard guard = new NoGradGuard()) {
        this.x.copy_(x);
        this.input.ids().copy_(input.ids());
        this.input.types().copy_(input.types());
        this.input.mask().copy_(input.mask());
        this.input.rowMask().copy_(input.rowMask());
        if (input.starts() != null) {
          this.input.starts().copy_(input.starts());
        }
        for (int i = 0; i < parts.size(); i++) {
          this.targets.get(i).copy_(targets.get(i));
          counters.select(0, i).select(0, 0).fill_(new Scalar(parts.get(i).step));
          counters.select(0, i).select(0, 1).fill_(new Scalar(parts.get(i).microBatch));
        }
      }
      work.run();
      return losses;
    }

    /** What is recorded: it reads no number that may change. */
    private void pass() {
      try (PointerScope temporary = new PointerScope()) {
        Joint joint = new Joint(parts, tape, input);
        joint.begin(counters);
        List<Tensor> own = gradients(joint, x, input, targets);
        try (NoGradGuard guard = new NoGradGuard()) {
          for (int i = 0; i < own.size(); i++) {
            losses.get(i).copy_(own.get(i));
          }
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
  }
}
