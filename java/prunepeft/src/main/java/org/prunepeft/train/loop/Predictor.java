package org.prunepeft.train.loop;

import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.Schema;
import org.prunepeft.data.batch.Batch;
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
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.head.TaskHead;
import org.prunepeft.train.pass.ExampleOutputs;
import org.prunepeft.train.pass.FirstNonFinite;
import org.prunepeft.train.pass.FrozenPrefix;
import org.prunepeft.train.pass.Inputs;
import org.prunepeft.train.pass.SubsetPredictions;
import org.prunepeft.train.pass.TrainingRun;

/**
 * Predicts and measures with modules and head as they are, without dropout. Keeps nothing between
 * calls but scratch memory. Not for two threads at once.
 */
public final class Predictor implements AutoCloseable {
  /** Of checkpoints: subsets that are being measured. */
  private static final String SUBSETS = "subsets";

  private final Encoder encoder;
  private final Tape tape;
  private final Checkpoints checkpoints;

  /**
   * With scratch memory of its own.
   *
   * @param encoder stays the caller's
   */
  public Predictor(Encoder encoder) {
    this(encoder, new Tape(), Checkpoints.NONE);
  }

  /**
   * @param tape closed with this
   * @param checkpoints of the run that measures subsets
   */
  Predictor(Encoder encoder, Tape tape, Checkpoints checkpoints) {
    this.encoder = encoder;
    this.tape = tape;
    this.checkpoints = checkpoints;
  }

  /**
   * What modules and head predict of each example, without dropout.
   *
   * @param data targets are not looked at
   * @throws IllegalStateException if a prediction is not finite; names the example and the first
   *     module whose output is not
   */
  public Predictions predict(PeftModules modules, TaskHead head, EncodedDataset data) {
    return predict(modules, head, data, done -> {});
  }

  /**
   * The same for work that takes long.
   *
   * @param progress is given the number of examples that are done; what it throws ends the work
   */
  public Predictions predict(
      PeftModules modules, TaskHead head, EncodedDataset data, IntConsumer progress) {
    return outputs(modules, head, data, null, KeptWork.NONE, progress);
  }

  /**
   * The same.
   *
   * @param prefix what layers below the modules say of an example; null: they are computed
   * @param kept how checkpoints keep what is done
   */
  Predictions outputs(
      PeftModules modules,
      TaskHead head,
      EncodedDataset data,
      FrozenPrefix prefix,
      KeptWork kept,
      IntConsumer progress) {
    modules.begin(ForwardPass.prediction(tape));
    float[] outputs =
        each(
            data,
            head.schema().outputs(),
            batch ->
                predicted(
                    batch,
                    input ->
                        head.outputs(
                            head.reduced(hidden(batch, input, modules, prefix), input), batch),
                    values -> requireFinite(values, batch, modules, head)),
            kept,
            progress);
    Predictions predictions = new Predictions(head.schema(), outputs);
    return data.answers() == null
        ? predictions
        : new AnswerScores(
                this, modules, head, data.answers(), kept, () -> progress.accept(data.size()))
            .with(predictions);
  }

  /** Numbers of each example, which come batch by batch. */
  private float[] each(
      EncodedDataset data,
      int width,
      Function<Batch, float[]> rows,
      KeptWork kept,
      IntConsumer progress) {
    ExampleOutputs<Batch> outputs =
        new ExampleOutputs<>(
            Inputs.batches(encoder.device(), data), Batch::indices, rows, data.size(), width);
    kept.run(outputs, () -> progress.accept(outputs.done()));
    return outputs.values();
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

  /** What outputs say that a training's modules have given on its validation data. */
  static Evaluation evaluation(TrainingRun run, float[] outputs) {
    return Evaluation.of(
        new Predictions(schema(run.head(), run.validation()), outputs), run.validation().targets());
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
                    FirstNonFinite.describe(
                        encoder, modules, head, null, tape, List.of(batch), false)));
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
    return evaluate(modules, head, data, KeptWork.NONE, progress);
  }

  /**
   * The same for work that goes on where the run does.
   *
   * @param kept how checkpoints keep what is done
   */
  public Evaluation evaluate(
      PeftModules modules,
      TaskHead head,
      EncodedDataset data,
      KeptWork kept,
      IntConsumer progress) {
    return Evaluation.of(outputs(modules, head, data, null, kept, progress), data.targets());
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
    try (SubsetPredictions passes =
        new SubsetPredictions(encoder, modules, head, tape, subsets, data)) {
      new KeptWork(checkpoints, SUBSETS).run(passes, () -> progress.accept(passes.done()));
      return passes.predictions();
    } finally {
      checkpoints.remove(SUBSETS);
    }
  }

  /**
   * What a head sees of the encoder as it is, [n · width], in the set's order.
   *
   * @param progress is given the number of examples that are done
   */
  public float[] features(PeftModules modules, EncodedDataset data, IntConsumer progress) {
    return features(modules, data, ForwardPass.evaluation(tape), progress);
  }

  /**
   * The same as predictions compute it, to some roundings.
   *
   * @param progress is given the number of examples that are done; what it throws ends the work
   */
  public float[] embeddings(PeftModules modules, EncodedDataset data, IntConsumer progress) {
    return features(modules, data, ForwardPass.prediction(tape), progress);
  }

  private float[] features(
      PeftModules modules, EncodedDataset data, ForwardPass pass, IntConsumer progress) {
    int width = Head.width(encoder.config().hidden(), data.towers());
    modules.begin(pass);
    return each(
        data,
        width,
        batch ->
            predicted(
                batch,
                input ->
                    Head.features(
                        Pooling.of(encoder.config()).of(encoder.forward(input, modules), input),
                        batch.towers()),
                values -> requireFinite(values, batch, modules, null)),
        KeptWork.NONE,
        progress);
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
