package org.prunepeft.train.loop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.Batches;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.SmallBert;
import org.prunepeft.peft.supernet.PeftConfig;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.testing.FixedSeed;
import org.prunepeft.testing.Rounding;
import org.prunepeft.testing.TestSeed;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.Evaluation;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.Schedule;
import org.prunepeft.train.TrainingSettings;
import org.prunepeft.train.TrainingSettingsBuilder;
import org.prunepeft.train.head.Head;
import org.prunepeft.train.pass.TrainingRun;

class TrainerTest extends TrainingTest {
  private final EncodedDataset data = SmallTask.draw(29, TestSeed.draw());
  private final EncodedDataset validation = SmallTask.draw(23, TestSeed.draw());

  /** Of the modules' weights, of batches and dropout. */
  private long seed = TestSeed.draw();

  private Encoder encoder;

  @BeforeEach
  void makeEncoder() {
    encoder = keep(SmallBert.create());
  }

  private Trainer trainer(TrainingSettingsBuilder settings) {
    return keep(new Trainer(encoder, settings.build()));
  }

  /** Modules with the same weights each time, LoRA's B not zero, and a head that is not zero. */
  private TrainingRun run(EncodedDataset examples, int epochs, double dropout) {
    PeftConfig config = loraAndAdapters(3, dropout);
    TrainingRun run =
        new TrainingRun(modules(config, candidates(config)), head(), examples, epochs, seed, null);
    fill(parameters(run).values(), new Random(seed));
    return run;
  }

  private static TrainingRun validated(TrainingRun run, EncodedDataset validation) {
    return new TrainingRun(
        run.modules(), run.head(), run.data(), run.epochs(), run.seed(), validation);
  }

  private static Map<String, float[]> gradients(TrainingRun run) {
    Map<String, float[]> gradients = new LinkedHashMap<>();
    parameters(run)
        .forEach((name, group) -> gradients.put(name, Torch.toFloats(group.gradients())));
    return gradients;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 10})
  void accumulatedGradientsAreThoseOfTheLargeBatch(int batchSize) {
    Batch batch = new Batches(data, data.size()).shuffled(seed, 1).iterator().next();
    assertTrue(new String(batch.mask()).contains("\0"), "nothing is padded");
    TrainingRun large = run(data, 1, 0);
    double loss =
        SingleStep.loss(trainer(TrainingSettings.builder().batchSize(data.size())), large, batch);

    TrainingRun small = run(data, 1, 0);
    double accumulated =
        SingleStep.loss(
            trainer(TrainingSettings.builder().batchSize(batchSize).gradientAccumulationSteps(29)),
            small,
            batch);

    assertLossNear(loss, accumulated, data.tokens());
    assertNear(gradients(large), gradients(small), data.tokens());
  }

  @Test
  void trainingWithAccumulatedGradientsIsThatWithTheLargeBatch() {
    List<Double> large = losses(TrainingSettings.builder().batchSize(12));
    List<Double> small =
        losses(TrainingSettings.builder().batchSize(4).gradientAccumulationSteps(3));
    // Three steps an epoch: 12, 12 and 5 examples.
    assertEquals(6, large.size());
    assertEquals(6, small.size());
    for (int i = 0; i < large.size(); i++) {
      double limit = share(data.tokens(), 1 + i) * large.get(i);
      Rounding.assertNear(large.get(i), small.get(i), limit, "step " + i);
    }
  }

  @Test
  void flopAreTwoForEachMultiplicationOfATokenForwardAndBackward() {
    double hidden = SmallBert.CONFIG.hidden();
    double layer = 4 * hidden * hidden + 2 * hidden * SmallBert.CONFIG.intermediate();
    int layers = SmallBert.CONFIG.layers();
    Trainer trainer = trainer(TrainingSettings.builder().batchSize(10));
    TrainingRun all = run(data, 2, 0);
    trainer.train(all, eachLoss(loss -> {}));
    // Modules multiply forward, and backward for their input and their weights.
    double whole = layers * 2 * layer + 3 * all.modules().count();
    double expected = 2 * data.tokens() * 2 * whole;
    assertEquals(expected, trainer.flop().total(), 1e-9 * expected);

    PeftConfig config = loraAndAdapters(3, 0);
    PeftModules last =
        modules(
            config, candidates(config).stream().filter(one -> one.layer() == layers - 1).toList());
    trainer.train(new TrainingRun(last, head(), data, 3, seed, null), eachLoss(loss -> {}));
    // The layers below are computed in the first epoch alone.
    double upper = 2 * layer + 3 * last.count();
    expected += 2 * data.tokens() * (3 * upper + (layers - 1) * layer);
    assertEquals(expected, trainer.flop().total(), 1e-9 * expected);
  }

  private List<Double> losses(TrainingSettingsBuilder settings) {
    Trainer trainer = trainer(settings);
    TrainingRun run = run(data, 2, 0);
    assertEquals(6, trainer.steps(run));
    List<Double> losses = new ArrayList<>();
    trainer.train(run, eachLoss(losses::add));
    return losses;
  }

  @Test
  void batchesOfOneStepDropDifferentInputs() {
    // The same example twice: with one mask for both, the mean gradient would be that of one.
    EncodedDataset once = data.subset(List.of(0));
    EncodedDataset twice = data.subset(List.of(0, 0));
    Trainer trainer = trainer(TrainingSettings.builder().batchSize(1).gradientAccumulationSteps(2));
    Map<String, float[]> one = gradients(after(trainer, once, 0.5));
    assertArrayEquals(
        one.get("lora"), gradients(after(trainer, once, 0.5)).get("lora"), "one mask a name");
    float[] two = gradients(after(trainer, twice, 0.5)).get("lora");
    double difference = 0;
    for (int i = 0; i < two.length; i++) {
      difference = Math.max(difference, Math.abs(two[i] - one.get("lora")[i]));
    }
    assertTrue(difference > 1e-3 * Rounding.largest(two), "difference " + difference);
  }

  private TrainingRun after(Trainer trainer, EncodedDataset examples, double dropout) {
    TrainingRun run = run(examples, 1, dropout);
    SingleStep.loss(trainer, run, new Batches(examples, 2).shuffled(seed, 1).iterator().next());
    return run;
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.15})
  void lossIsCrossEntropyWithTheSmoothedLabels(double smoothing) {
    Random random = TestSeed.random();
    float[] logits = new float[5 * 3];
    double[] labels = random.ints(5, 0, 3).asDoubleStream().toArray();
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) (3 * random.nextGaussian());
    }
    double expected = 0;
    for (int row = 0; row < 5; row++) {
      double sum = 0;
      for (int k = 0; k < 3; k++) {
        sum += Math.exp(logits[3 * row + k]);
      }
      for (int k = 0; k < 3; k++) {
        double target = smoothing / 3 + (labels[row] == k ? 1 - smoothing : 0);
        expected -= target * (logits[3 * row + k] - Math.log(sum)) / 5;
      }
    }
    try (PointerScope scope = new PointerScope();
        Head head = new Head(SmallTask.SCHEMA, 7)) {
      double actual =
          head.loss(Torch.floats(logits, 5, 3), head.targets(labels), smoothing).item_double();
      // Sums over 3 classes and 5 rows, of logits and their logarithms.
      double size = 1 + Rounding.largest(logits);
      double limit = Rounding.gamma(3 + 5 + 8, Rounding.FLOAT32) * 2 * size;
      Rounding.assertNear(expected, actual, limit, "loss");
    }
  }

  @Test
  void trainingEndsAfterSoManyEpochsWithoutABetterOne() {
    // Rates so small that the validation result never changes: the first epoch stays the best.
    TrainingSettingsBuilder still =
        TrainingSettings.builder()
            .loraLearningRate(1e-12)
            .adapterLearningRate(1e-12)
            .headLearningRate(1e-12);
    TrainingRun run = validated(run(data, 7, 0), validation);
    Trainer.Result stopped = trainer(still.earlyStoppingPatience(2)).train(run, StepListener.NONE);
    assertEquals(1, stopped.bestEpoch());
    assertEquals(3, stopped.epochs());

    Trainer.Result whole = trainer(still.earlyStoppingPatience(0)).train(run, StepListener.NONE);
    assertEquals(7, whole.epochs());
    Trainer.Result unvalidated =
        trainer(still.earlyStoppingPatience(2)).train(run(data, 7, 0), StepListener.NONE);
    assertEquals(new Trainer.Result(null, 7, 7), unvalidated);
  }

  @Test
  void headAloneIsKeptWhereNoEpochIsBetter() {
    TrainingSettingsBuilder wild =
        TrainingSettings.builder()
            .loraLearningRate(0.5)
            .adapterLearningRate(0.5)
            .headLearningRate(0.5);
    TrainingRun run = run(data, 2, 0);
    double[] targets = validation.targets();
    int outputs = SmallTask.SCHEMA.outputs();
    float[] right = new float[targets.length * outputs];
    for (int i = 0; i < targets.length; i++) {
      right[i * outputs + (int) targets[i]] = 9;
    }
    Evaluation unbeaten = Evaluation.of(new Predictions(SmallTask.SCHEMA, right), targets);
    float[] before = Torch.toFloats(run.head().parameters().values());
    TrainingRun compared =
        new TrainingRun(run.modules(), run.head(), data, 2, seed, validation)
            .comparedWith(unbeaten);
    Trainer.Result result = trainer(wild).train(compared, StepListener.NONE);
    assertEquals(new Trainer.Result(unbeaten, 0, 2), result);
    assertArrayEquals(before, Torch.toFloats(run.head().parameters().values()));
  }

  @Test
  void anEpochWithAHigherLossHasToGainMoreThanTheStandardError() {
    TrainingSettingsBuilder still =
        TrainingSettings.builder()
            .loraLearningRate(1e-12)
            .adapterLearningRate(1e-12)
            .headLearningRate(1e-12);
    TrainingRun untrained = run(data, 1, 0);
    EncodedDataset some;
    Evaluation epoch;
    long right;
    do {
      some = SmallTask.draw(23, TestSeed.draw());
      epoch = trainer(still).predictor().evaluate(untrained.modules(), untrained.head(), some);
      right = Math.round(epoch.primary() * some.size());
    } while (right < 2 || right == some.size());
    TrainingRun run = validated(untrained, some);
    Evaluation low = oneRightLess(epoch, some.targets(), 0.1f);
    Evaluation high = oneRightLess(epoch, some.targets(), 50);
    assertEquals(epoch.primary() - 1.0 / some.size(), low.primary(), 1e-12);
    assertTrue(low.loss() < epoch.loss() && epoch.loss() < high.loss());
    assertEquals(1, trained(still, run.comparedWith(low)).bestEpoch());
    assertEquals(1, trained(still, run.surelyBetterThan(high)).bestEpoch());
    Trainer.Result kept = trained(still, run.surelyBetterThan(low));
    assertEquals(new Trainer.Result(low, 0, 1), kept);
  }

  private Trainer.Result trained(TrainingSettingsBuilder settings, TrainingRun run) {
    return trainer(settings).train(run, StepListener.NONE);
  }

  /** Predictions that differ in three examples: one more is right, and two are wrong. */
  private Evaluation oneRightLess(Evaluation of, double[] targets, float wrongBy) {
    int classes = SmallTask.SCHEMA.outputs();
    float[] outputs = new float[targets.length * classes];
    int spoilt = 0;
    int mended = 0;
    for (int i = 0; i < targets.length; i++) {
      int predicted = of.predictions().label(i);
      int right = (int) targets[i];
      if (predicted == right && spoilt < 2) {
        predicted = (right + 1) % classes;
        spoilt++;
      } else if (predicted != right && mended < 1) {
        predicted = right;
        mended++;
      }
      outputs[i * classes + predicted] = predicted == right ? 9 : wrongBy;
    }
    assertEquals(2, spoilt);
    assertEquals(1, mended);
    return Evaluation.of(new Predictions(SmallTask.SCHEMA, outputs), targets);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ADAMW", "ADAFACTOR"})
  void weightsOfTheBestEpochAreKept(OptimizerType type) {
    bestEpochOfNine(type);
  }

  /** Those of the last one are there anyway. */
  @Test
  @FixedSeed("in which epoch a training is best differs from draw to draw")
  void weightsOfAnEarlierEpochAreKept() {
    int best = 9;
    for (int draws = 0; best == 9 && draws < 10; draws++) {
      seed = TestSeed.draw();
      best = bestEpochOfNine(OptimizerType.ADAMW);
    }
    assertTrue(best < 9, "the best epoch is " + best);
  }

  /** Which it is; its weights must be kept. */
  private int bestEpochOfNine(OptimizerType type) {
    Trainer trainer =
        trainer(
            TrainingSettings.builder()
                .optimizer(type)
                .batchSize(5)
                .maxGradNorm(1)
                .loraLearningRate(3e-2)
                .adapterLearningRate(3e-2)
                .headLearningRate(0.1));
    TrainingRun run = validated(run(data, 9, 0.1), validation);
    List<Evaluation> epochs = new ArrayList<>();
    Trainer.Result result =
        trainer.train(
            run,
            new StepListener() {
              @Override
              public void epoch(int epoch, int of, double trainLoss, Evaluation evaluation) {
                epochs.add(evaluation);
              }
            });
    assertEquals(9, epochs.size());
    double best = epochs.stream().mapToDouble(Evaluation::primary).max().orElseThrow();
    assertEquals(best, result.validation().primary());
    int first = 0;
    while (epochs.get(first).primary() < best) {
      first++;
    }
    assertEquals(first + 1, result.bestEpoch());
    Evaluation kept = trainer.predictor().evaluate(run.modules(), run.head(), validation);
    // The same weights on the same batches: to the bit.
    assertEquals(epochs.get(first).loss(), kept.loss());
    return result.bestEpoch();
  }

  @ParameterizedTest
  @ValueSource(strings = {"ADAMW", "ADAFACTOR"})
  @FixedSeed("how far a training gets differs from draw to draw")
  void trainingLowersTheLoss(OptimizerType type) {
    Trainer trainer =
        trainer(
            TrainingSettings.builder()
                .optimizer(type)
                .batchSize(5)
                .gradientAccumulationSteps(2)
                .schedule(Schedule.COSINE)
                .adapterLearningRate(1e-2)
                .headLearningRate(5e-2));
    TrainingRun run = run(data, 20, 0.1);
    double before = trainer.predictor().evaluate(run.modules(), run.head(), data).loss();
    assertNull(trainer.train(run, StepListener.NONE).validation());
    double after = trainer.predictor().evaluate(run.modules(), run.head(), data).loss();
    assertTrue(after < 0.8 * before, "loss went from " + before + " to " + after);
  }

  @Test
  void lossThatIsNotFiniteIsReportedWithTheRemedy() {
    Trainer trainer = trainer(TrainingSettings.builder().headLearningRate(1e38).warmupRatio(0));
    TrainingRun run = run(data, 9, 0);
    String message =
        assertThrows(IllegalStateException.class, () -> trainer.train(run, StepListener.NONE))
            .getMessage();
    assertTrue(message.contains("lower the learning rates"), message);
  }

  @Test
  void listenerEndsTheTraining() {
    Trainer trainer = trainer(TrainingSettings.builder().batchSize(4));
    TrainingRun run = run(data, 2, 0);
    List<Integer> steps = new ArrayList<>();
    assertThrows(
        CancellationException.class,
        () ->
            trainer.train(
                run,
                new StepListener() {
                  @Override
                  public void step(int step, int of, double loss, double rate) {
                    steps.add(step);
                  }

                  @Override
                  public boolean cancelled() {
                    return steps.size() == 3;
                  }
                }));
    assertEquals(List.of(1, 2, 3), steps);
  }
}
