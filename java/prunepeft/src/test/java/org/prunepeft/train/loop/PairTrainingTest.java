package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Precision;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.ForwardPass.Masks;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.search.Candidate;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.head.Pooling;
import org.prunepeft.train.pass.FrozenPrefix;
import org.prunepeft.train.pass.GradientPasses;
import org.prunepeft.train.pass.TrainingRun;

/** Trainings on pairs whose texts go through the encoder by themselves. */
class PairTrainingTest extends TrainingTest {
  private static final int HIDDEN = SmallBert.CONFIG.hidden();

  private final long dataSeed = TestSeed.draw();
  private final EncodedDataset data = SmallTask.pairs(23, dataSeed);
  private final EncodedDataset validation = SmallTask.pairs(11, TestSeed.draw());

  /** Of the modules' weights, of batches and dropout. */
  private final long seed = TestSeed.draw();

  private Encoder encoder;

  @BeforeEach
  void makeEncoder() {
    encoder = keep(SmallBert.create());
  }

  /** The same weights each time, none of them zero. */
  private TrainingRun run(EncodedDataset examples, int lowest, int epochs) {
    PeftConfig config = loraAndAdapters(3, 0);
    List<Candidate> candidates =
        candidates(config).stream().filter(module -> module.layer() >= lowest).toList();
    Head head = keep(new Head(SmallTask.SCHEMA, Head.width(HIDDEN, 2)));
    TrainingRun run =
        new TrainingRun(modules(config, candidates), head, examples, epochs, seed, validation);
    fill(parameters(run).values(), new Random(seed));
    return run;
  }

  private Trainer trainer(int batchSize, int accumulation, int cacheMegabytes) {
    return keep(
        new Trainer(
            encoder,
            TrainingSettings.builder()
                .batchSize(batchSize)
                .gradientAccumulationSteps(accumulation)
                .activationCacheMegabytes(cacheMegabytes)
                .build()));
  }

  /**
   * Adam's step is the learning rate, whatever the size of a gradient: where that is as small as
   * its rounding, an element may differ by a part of a step. Other texts move all by whole steps.
   */
  private static void assertTrainedAlike(TrainingRun expected, TrainingRun actual) {
    double partOfStep = TrainingSettings.DEFAULT.loraLearningRate() / 2;
    Map<String, float[]> weights = weights(actual);
    weights(expected)
        .forEach((name, own) -> Rounding.assertNear(own, weights.get(name), partOfStep, name));
  }

  private static Map<String, float[]> gradients(TrainingRun run) {
    return parameters(run).entrySet().stream()
        .collect(
            Collectors.toMap(
                Map.Entry::getKey, group -> Torch.toFloats(group.getValue().gradients())));
  }

  private Batch all() {
    return new Batches(data, data.size()).shuffled(seed, 1).iterator().next();
  }

  private static EncoderInput tower(Batch batch, int tower) {
    int length = batch.length();
    int n = batch.examples();
    long[] ids = new long[n * length];
    byte[] mask = new byte[n * length];
    for (int i = 0; i < n; i++) {
      System.arraycopy(batch.ids(), (2 * i + tower) * length, ids, i * length, length);
      System.arraycopy(batch.mask(), (2 * i + tower) * length, mask, i * length, length);
    }
    return EncoderInput.of(ids, new long[ids.length], mask, n, length);
  }

  /** A pass for each text, and the features as the formula has them, by LibTorch's autograd. */
  private double reference(TrainingRun run, Batch batch) {
    try (Tape tape = new Tape();
        PointerScope scope = new PointerScope()) {
      run.modules().begin(new ForwardPass(tape, new Masks(seed, 0, 0, null), null));
      EncoderInput first = tower(batch, 0);
      EncoderInput second = tower(batch, 1);
      Tensor u = Pooling.MEAN.of(encoder.forward(first, run.modules()), first);
      Tensor v = Pooling.MEAN.of(encoder.forward(second, run.modules()), second);
      Tensor dot = u.mul(v).sum(1L);
      Tensor norms = u.square().sum(1L).mul(v.square().sum(1L)).sqrt();
      Tensor features =
          torch.cat(new TensorVector(u, v, u.sub(v).abs(), dot.div(norms).unsqueeze(1)), 1);
      Head head = (Head) run.head();
      Tensor loss = head.loss(head.logits(features), head.targets(batch.targets()));
      loss.backward();
      return loss.item_double();
    }
  }

  @Test
  void gradientsAreThoseOfAPassForEachText() {
    TrainingRun expected = run(data, 0, 1);
    TrainingRun actual = run(data, 0, 1);
    double loss = reference(expected, all());
    assertLossNear(loss, SingleStep.loss(trainer(32, 1, 0), actual, all()), data.tokens());
    assertNear(gradients(expected), gradients(actual), data.tokens());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 10})
  void accumulatedGradientsAreThoseOfTheLargeBatch(int batchSize) {
    TrainingRun large = run(data, 0, 1);
    TrainingRun small = run(data, 0, 1);
    double loss = SingleStep.loss(trainer(32, 1, 0), large, all());
    assertLossNear(loss, SingleStep.loss(trainer(batchSize, 23, 0), small, all()), data.tokens());
    assertNear(gradients(large), gradients(small), data.tokens());
  }

  @Test
  void keptOutputsOfFrozenLayersChangeNothing() {
    TrainingRun without = run(data, 1, 3);
    TrainingRun with = run(data, 1, 3);
    double loss = trainer(4, 1, 0).train(without, StepListener.NONE).validation().loss();
    int steps = 3 * (data.size() + 3) / 4;
    double again = trainer(4, 1, 64).train(with, StepListener.NONE).validation().loss();
    Rounding.assertNear(loss, again, share(validation.tokens(), steps) * loss, "validation loss");
    assertTrainedAlike(without, with);
  }

  /** Room for all texts, for some, perhaps for one of a pair, and for none. */
  @ParameterizedTest
  @ValueSource(longs = {1_000_000, 7000, 0})
  void itKeepsTextsAsFarAsThereIsRoom(long bytes) {
    try (FrozenPrefix prefix = new FrozenPrefix(encoder, 2, data, bytes, false);
        NoGradGuard guard = new NoGradGuard()) {
      for (int epoch = 1; epoch <= 3; epoch++) {
        for (Batch batch : new Batches(data, 5).shuffled(1, epoch)) {
          try (PointerScope scope = new PointerScope()) {
            EncoderInput input =
                EncoderInput.of(
                    batch.ids(), batch.types(), batch.mask(), batch.rows(), batch.length());
            Tensor real = input.mask().view(-1, 1);
            Tensor expected =
                encoder.layers(0, 2, encoder.embed(input), input, Insertions.NONE).mul(real);
            Tensor actual = prefix.apply(batch, input, Insertions.NONE).mul(real);
            float[] states = Torch.toFloats(expected);
            double limit = shareOfStates() * Rounding.largest(states);
            Rounding.assertNear(states, Torch.toFloats(actual), limit, "states");
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void togetherEachBecomesWhatItBecomesAlone(boolean recorded) {
    RecorderStandIn recorder = recorded ? new RecorderStandIn() : null;
    TrainingSettings settings = TrainingSettings.builder().batchSize(4).build();
    Trainer trainer =
        keep(
            new Trainer(
                encoder,
                settings,
                null,
                Checkpoints.NONE,
                new GradientPasses.Mode(recorder, 16, 4, 0)));
    List<EncodedDataset> sets = List.of(data, SmallTask.pairs(14, TestSeed.draw()));
    List<TrainingRun> together = sets.stream().map(set -> run(set, 0, 2)).toList();
    trainer
        .train(
            together.stream()
                .map(run -> new Trainer.Request(run, StepListener.NONE, null, Checkpoints.NONE))
                .toList())
        .forEach(Trainer.Outcome::get);
    assertTrue(!recorded || recorder.count("launch") > 0);
    for (int i = 0; i < sets.size(); i++) {
      TrainingRun alone = run(sets.get(i), 0, 2);
      trainer(4, 1, 0).train(alone, StepListener.NONE);
      assertTrainedAlike(alone, together.get(i));
    }
  }

  private static float[] probabilities(Predictions predictions) {
    float[] all = new float[predictions.size() * SmallTask.SCHEMA.outputs()];
    for (int i = 0; i < all.length; i++) {
      int outputs = SmallTask.SCHEMA.outputs();
      all[i] = (float) predictions.probabilities(i / outputs)[i % outputs];
    }
    return all;
  }

  @Test
  void subsetsPredictAsTheirSupernetDoes() {
    TrainingRun run = run(data, 0, 1);
    Trainer trainer = trainer(4, 1, 0);
    List<Integer> done = new ArrayList<>();
    List<Predictions> predictions =
        trainer
            .predictor()
            .predict(
                run.modules(),
                run.head(),
                data,
                List.of(run.modules().candidates(), List.of()),
                done::add);
    float[] whole = probabilities(trainer.predictor().predict(run.modules(), run.head(), data));
    Rounding.assertNear(whole, probabilities(predictions.get(0)), limit(whole), "all modules");
    float[] none =
        probabilities(
            trainer
                .predictor()
                .predict(modules(loraAndAdapters(3, 0), List.<Candidate>of()), run.head(), data));
    Rounding.assertNear(none, probabilities(predictions.get(1)), limit(none), "no modules");
    assertEquals(data.size(), done.get(done.size() - 1));
  }

  /** With the weights of u and v exchanged, swapped texts give what the pair gave. */
  @Test
  void swappedTextsPredictTheSameWithASwappedHead() {
    TrainingRun run = run(data, 0, 1);
    Trainer trainer = trainer(4, 1, 0);
    float[] expected = probabilities(trainer.predictor().predict(run.modules(), run.head(), data));
    Head swapped = keep(((Head) run.head()).copy());
    float[] weight = Torch.toFloats(run.head().parameters().get(Head.WEIGHT));
    int width = Head.width(HIDDEN, 2);
    float[] exchanged = weight.clone();
    for (int from = 0; from < weight.length; from += width) {
      System.arraycopy(weight, from, exchanged, from + HIDDEN, HIDDEN);
      System.arraycopy(weight, from + HIDDEN, exchanged, from, HIDDEN);
    }
    swapped.parameters().put(Head.WEIGHT, exchanged);
    EncodedDataset other = SmallTask.swappedPairs(data.size(), dataSeed);
    Rounding.assertNear(
        expected,
        probabilities(trainer.predictor().predict(run.modules(), swapped, other)),
        limit(expected),
        "swapped texts");
    assertTrue(
        !Arrays.equals(
            expected,
            probabilities(trainer.predictor().predict(run.modules(), run.head(), other))));
  }

  @Test
  void theHeadsFeaturesAreThoseOfTheFrozenEncoder() {
    Trainer trainer = trainer(4, 1, 0);
    TrainingRun run = run(data, 0, 1);
    float[] features = trainer.predictor().features(run.modules(), data, done -> {});
    float[] texts = trainer.predictor().features(run.modules(), data.texts(), done -> {});
    int width = Head.width(HIDDEN, 2);
    double limit = shareOfStates() * Rounding.largest(texts);
    for (int i = 0; i < data.size(); i++) {
      for (int j = 0; j < HIDDEN; j++) {
        float u = texts[2 * i * HIDDEN + j];
        float v = texts[(2 * i + 1) * HIDDEN + j];
        Rounding.assertNear(u, features[i * width + j], limit, "u");
        Rounding.assertNear(v, features[i * width + HIDDEN + j], limit, "v");
        double apart = features[i * width + 2 * HIDDEN + j];
        Rounding.assertNear(Math.abs(u - v), apart, 2 * limit, "|u - v|");
      }
    }
  }

  @Test
  @FixedSeed("how far a training gets differs from draw to draw")
  void inBfloat16ALossGoesDown() {
    encoder = keep(SmallBert.create(seed, Precision.BF16, ComputeDevice.CPU));
    TrainingRun run = run(data, 0, 12);
    List<Double> losses = new ArrayList<>();
    trainer(8, 1, 64).train(run, eachLoss(losses::add));
    double began = losses.subList(0, 3).stream().mapToDouble(x -> x).average().orElseThrow();
    double ended =
        losses.subList(losses.size() - 3, losses.size()).stream()
            .mapToDouble(x -> x)
            .average()
            .orElseThrow();
    assertTrue(ended < began, began + " to " + ended);
  }
}
